/* The command line: from arguments to one command and its exit status. Knows every command; prints the one
 * error. */
#ifndef PGRECAST_CLI_CLI_H
#define PGRECAST_CLI_CLI_H

#include <stdbool.h>

#include "core/error.h"
#include "job/job.h"

/* Everything the options of all commands can say; a command reads its own. Owns its strings. */
struct cli_options {
    struct connection_options connection;
    bool ask_password; /* -W */
    char *sql;
    char *file;
    char *table;
    bool rebuild;
    char *job;
    char *spool_directory;
    char *slot;
    char *publication;
    char *format;
    int workers;
    int64_t chunk_bytes;
    int lock_timeout_ms;
    int cutover_attempts;
    int start_timeout_s;
    int64_t limit;
    int64_t window_s;
    int reconnect_s;
    char *exit_after;
    int reverse_map_count;
    bool rebuild_invalid;  /* --invalid-indexes=rebuild */
    bool accept_published; /* --published=accept */
    char **reverse_maps;
    bool hold;
    bool no_verify;
    bool keep_original;
    bool json;
    bool watch;
    bool verbose;
    bool help;
    char *log_format;
    char *progress;
};

struct command {
    const char *name;
    const char *arguments; /* of the usage line, behind the name */
    const char *summary;   /* one line */
    const char *text;      /* --help: what it does and its options */
    const char *options;   /* names of the long options it takes, each between spaces */
    bool takes_job;        /* a positional argument JOB */
    bool needs_job;
    bool (*run)(const struct cli_options *options, struct error *err);
};

/* The exit status of the whole program. */
int cli_main(int argc, char **argv);

/* Parse the arguments behind the command's name. ERROR_USAGE on anything not understood. */
bool cli_parse(const struct command *command, int argc, char **argv, struct cli_options *out,
               struct error *err);
void cli_options_free(struct cli_options *options);

/* The user's SQL from --sql, -f FILE or standard input (-f -). The caller frees it. NULL on failure. */
char *cli_read_sql(const struct cli_options *options, struct error *err);

bool command_plan(const struct cli_options *options, struct error *err);
bool command_run(const struct cli_options *options, struct error *err);
bool command_resume(const struct cli_options *options, struct error *err);
bool command_rollback(const struct cli_options *options, struct error *err);
bool command_status(const struct cli_options *options, struct error *err);
bool command_jobs(const struct cli_options *options, struct error *err);
bool command_cutover(const struct cli_options *options, struct error *err);
bool command_verify(const struct cli_options *options, struct error *err);
bool command_finish(const struct cli_options *options, struct error *err);
bool command_abort(const struct cli_options *options, struct error *err);
bool command_decode(const struct cli_options *options, struct error *err);

#endif
