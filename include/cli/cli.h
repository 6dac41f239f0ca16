/*
 * The command line: from arguments to one command and its exit status. Knows every command, and prints the
 * error.
 */
#ifndef PGRECAST_CLI_CLI_H
#define PGRECAST_CLI_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include "core/error.h"
#include "core/list.h"
#include "core/log.h"
#include "job/job.h"
#include "options/option.h"

enum decode_format { DECODE_JSON, DECODE_PROTOBUF };
enum shell { SHELL_BASH, SHELL_ZSH };

/* The values of all commands' options; each command reads its own. Owns its strings. */
struct cli_options {
    struct job_options job; /* its .name is also the JOB of the commands that are about an existing job */
    struct connection_options connection;
    bool ask_password; /* -W */
    char *sql;
    char *file;
    bool rebuild;
    char *table;
    char *target;       /* path of the file that --target names */
    char *partition_by; /* the short form of a target */
    char *every;
    char *from;
    int ahead;
    bool default_partition;
    bool extend_key;
    char *write_target; /* path of the file to which that target is written; NULL: to none */
    int map_count;
    const char *const *maps; /* "column=expression" */
    char *tablespace;        /* of the tables, or NULL */
    char *index_tablespace;  /* of their indexes, or NULL */
    bool json;
    bool all;
    int64_t record; /* 0: not given */
    /* The options of the connection, for the commands that are printed (core/command.h). Owned by cli.c. */
    const char *connection_text;
    bool wait;
    bool or_resume;
    bool watch;
    char *slot;
    char *publication;
    enum decode_format format;
    int64_t limit; /* 0: none */
    enum shell shell;
    enum log_format log_format;
    bool verbose;
    bool help;
    struct string_list given;       /* the names of the options on the command line */
    char *file_text;                /* of .file or .target; NULL: there is none */
    struct string_list set_by_file; /* "name=value", of the options that it sets */
};

struct command {
    enum option_command bit; /* its bit in the .commands of the options that it takes */
    const char *name;
    const char *arguments; /* of the usage line, after the name */
    const char *summary;   /* one line */
    const char *example;   /* a command line that can be typed */
    bool output;           /* what it prints is its product: it fails if that cannot be written */
    bool hidden;           /* not in the list of commands */
    bool operand_needed;
    const char *operand_missing; /* message of the error when the operand is missing */
    /* The argument that is not an option, as a member of struct cli_options; NULL: none. */
    const struct option_spec *operand;
    bool (*run)(const struct cli_options *options, struct error *err);
};

/* Returns the exit status of the whole program. */
int cli_main(int argc, char **argv);

/* Command number n; NULL after the last one. */
const struct command *cli_command(size_t n);

/*
 * Option number n of all commands, in the order of the help; NULL after the last one. An option that the help
 * describes in several ways is there several times, with the same name; its entries have the same kind and
 * the same member.
 */
const struct option_spec *cli_option(size_t n);

/* Parse the arguments after the command's name. ERROR_USAGE for everything that is not understood. */
bool cli_parse(const struct command *command, int argc, char **argv, struct cli_options *out,
               struct error *err);
void cli_options_free(struct cli_options *options);

/* The command of that name, or NULL. Then the error is set, with the command that may have been meant. */
const struct command *cli_find_command(const char *name, struct error *err);

/* Print what `pgrecast --help` and `pgrecast COMMAND --help` show. */
void cli_print_usage(FILE *out);
void cli_print_help(const struct command *command, FILE *out);

/* Print a script with which the shell completes the command line. */
void cli_print_completion(enum shell shell, FILE *out);

/*
 * Read the file that the options name, if they do, and set the options that its comments "-- pgrecast: name=value" set
 * (parse/directive.h). What the command line says stays. ERROR_USAGE, with the place.
 */
bool cli_read_file(const struct command *command, struct cli_options *options, struct error *err);

/* The user's SQL, of --sql or of the file that was read. The caller frees it. */
char *cli_sql(const struct cli_options *options);

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
bool command_forget(const struct cli_options *options, struct error *err);
bool command_decode(const struct cli_options *options, struct error *err);
bool command_completion(const struct cli_options *options, struct error *err);

#endif
