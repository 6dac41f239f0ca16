#include "cli/cli.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/stop.h"

#define CONNECTION_HELP                                                                                      \
    "\nConnection (libpq's environment, service file and .pgpass apply):\n"                                  \
    "  -d, --dbname=NAME        database, conninfo string or URI\n"                                          \
    "  -h, --host=HOST          -p, --port=PORT          -U, --username=NAME\n"                              \
    "  -w, --no-password        never ask for a password\n"                                                  \
    "  -W, --password           ask for it\n"                                                                \
    "      --log-format=FORMAT  text or json\n"                                                              \
    "  -v, --verbose            more lines in the log\n"

#define WAY_BACK_HELP                                                                                        \
    "      --rollback-window=TIME  how long a rollback is possible after the cutover (until `finish`);\n"    \
    "                           0: not at all, the job ends with the cutover\n"                              \
    "      --reverse-map='COLUMN=EXPRESSION'  what a column of the original gets from the new table's\n"     \
    "                           row, where the change has no inverse; may be repeated\n"

#define REFUSALS_HELP                                                                                        \
    "      --invalid-indexes=refuse|rebuild  what to do with an index that is invalid (refuse)\n"            \
    "      --published=refuse|accept  the working tables come under a publication of all tables, or of "     \
    "the\n"                                                                                                  \
    "                           schema: its subscribers get them too (refuse)\n"

#define CHANGE_HELP                                                                                          \
    "What to change:\n"                                                                                      \
    "      --sql=SQL            ALTER TABLE, CREATE INDEX, DROP INDEX statements, on one table or several\n" \
    "  -f, --file=FILE          the same from a file; - is standard input\n"                                 \
    "      --rebuild -t TABLE   no change: a fresh table without bloat\n"

static const struct command commands[] = {
    {"plan", "(--sql=SQL | -f FILE | --rebuild -t TABLE)",
     "say what a change would do, and every reason not to; changes nothing",
     CHANGE_HELP "\nHow:\n" WAY_BACK_HELP REFUSALS_HELP,
     " sql file rebuild table rollback-window reverse-map invalid-indexes published ", false, false,
     command_plan},
    {"run", "(--sql=SQL | -f FILE | --rebuild -t TABLE) [OPTION...]", "change the table online",
     CHANGE_HELP
     "\nHow:\n"
     "      --job=NAME           name of the job; default: the (first) table's name\n"
     "      --jobs=N             parallel sessions (the number of processors, 2 to 8)\n"
     "      --chunk-size=SIZE    bytes per transaction of the copy, to begin with (8MB); adapts\n"
     "      --no-verify          leave out the proof of parity\n"
     "      --cutover=auto|hold  hold: stay in sync until `pgrecast cutover JOB`\n"
     "      --lock-timeout=TIME  longest wait for the lock of the cutover (100ms)\n"
     "      --cutover-attempts=N how often to ask for it (60)\n" WAY_BACK_HELP REFUSALS_HELP
     "      --exit-after=WHEN    sync or cutover: end there; go on with `pgrecast resume JOB`\n"
     "      --keep-original      keep the original as TABLE_pgrecast_old\n"
     "      --reconnect-timeout=TIME  how long to try again when the server is away (10min)\n"
     "      --start-timeout=TIME longest wait for transactions that are open at the start (10min)\n"
     "      --spool-dir=DIR      where to keep received changes (~/.local/state/pgrecast)\n"
     "      --progress=STYLE     auto, bar, line or none\n",
     " sql file rebuild table job jobs chunk-size no-verify cutover lock-timeout cutover-attempts "
     "keep-original rollback-window reverse-map exit-after reconnect-timeout start-timeout spool-dir "
     "progress invalid-indexes published ",
     false, false, command_run},
    {"resume", "JOB [OPTION...]", "go on with a job after any stop or crash, from where it stood",
     "      --spool-dir=DIR      where this host keeps received changes\n"
     "      --reconnect-timeout=TIME  how long to try again when the server is away (10min)\n"
     "      --progress=STYLE     auto, bar, line or none\n",
     " spool-dir reconnect-timeout progress ", true, true, command_resume},
    {"status", "[JOB]", "show a job, or all",
     "      --json               one array of objects\n"
     "      --watch              again every second, until the job has ended\n",
     " json watch ", true, false, command_status},
    {"jobs", "", "list the jobs of the database", "      --json               one array of objects\n",
     " json ", false, false, command_jobs},
    {"cutover", "JOB", "let a job cut over that was started with --cutover=hold, or rolled back", "", " ",
     true, true, command_cutover},
    {"rollback", "JOB [OPTION...]", "back to the original, with every write since the cutover kept",
     "      --reverse-map='COLUMN=EXPRESSION'  what a column of the original gets from the new table's\n"
     "                           row, for rows that it cannot hold as they are and all that come; may\n"
     "                           be repeated\n"
     "      --spool-dir=DIR      where this host keeps received changes\n"
     "      --progress=STYLE     auto, bar, line or none\n",
     " reverse-map spool-dir progress ", true, true, command_rollback},
    {"verify", "JOB", "check parity now; the running instance does it",
     "      --json               one object\n", " json ", true, true, command_verify},
    {"finish", "JOB", "end a job after its cutover or rollback: drop the table that does not serve",
     "      --keep-original      keep the original as TABLE_pgrecast_old\n", " keep-original ", true, true,
     command_finish},
    {"abort", "JOB", "remove everything a job has made, while the original serves", "", " ", true, true,
     command_abort},
    {"decode", "--slot=SLOT --publication=NAME [OPTION...] | --spool-dir=DIR",
     "stream a slot or a spool as JSON lines or protobuf",
     "      --slot=SLOT          an existing slot of plugin pgoutput; its position moves on\n"
     "      --publication=NAME   what to stream from it\n"
     "      --spool-dir=DIR      read a job's spool instead\n"
     "      --format=FORMAT      json (a line a record) or protobuf (length-delimited)\n"
     "      --limit=N            end after N records\n",
     " slot publication spool-dir format limit ", false, false, command_decode},
};

static const struct command *
find_command(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static void
print_usage(FILE *out)
{
    fputs("pgrecast rewrites a big, busy PostgreSQL table online: give it the ALTER TABLE you would have "
          "run.\n\n"
          "Usage: pgrecast COMMAND [OPTION...]\n\n",
          out);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(out, "  %-8s  %s\n", commands[i].name, commands[i].summary);
    fputs("\n`pgrecast COMMAND --help` tells its options. `pgrecast --version` prints the version.\n", out);
}

static void
print_help(const struct command *command)
{
    printf("Usage: pgrecast %s %s\n\n%c%s.\n\n%s%s", command->name, command->arguments,
           command->summary[0] - 'a' + 'A', command->summary + 1, command->text, CONNECTION_HELP);
}

/* The one place an error is printed. Details of several lines are indented alike. */
static void
print_error(const struct error *err)
{
    fprintf(stderr, "pgrecast: %s\n", err->message);
    if (err->detail != NULL) {
        fputs("  ", stderr);
        for (const char *c = err->detail; *c != '\0'; c++)
            fputs(*c == '\n' ? "\n  " : (char[]){*c, '\0'}, stderr);
        fputc('\n', stderr);
    }
    if (err->hint != NULL)
        fprintf(stderr, "  hint: %s\n", err->hint);
}

static void
ask_password(struct cli_options *options)
{
    char *password = getpass("Password: ");

    if (password != NULL)
        options->connection.password = mem_strdup(password);
}

static bool
run_command(const struct command *command, int argc, char **argv, struct error *err)
{
    struct cli_options options;
    bool ok = cli_parse(command, argc, argv, &options, err);

    if (ok && options.help) {
        print_help(command);
    } else if (ok) {
        log_configure(options.log_format != NULL && strcmp(options.log_format, "json") == 0 ? LOG_JSON
                                                                                            : LOG_TEXT,
                      options.verbose ? LOG_DEBUG : LOG_INFO);
        if (options.ask_password)
            ask_password(&options);
        ok = command->run(&options, err);
    } else if (err->hint == NULL) {
        error_hint(err, "See: pgrecast %s --help", command->name);
    }
    cli_options_free(&options);
    return ok;
}

int
cli_main(int argc, char **argv)
{
    const struct command *command;
    struct error err = {0};
    int status = 0;

    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? ERROR_USAGE : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("pgrecast " PGRECAST_VERSION);
        return 0;
    }
    command = find_command(argv[1]);
    if (command == NULL) {
        fprintf(stderr, "pgrecast: there is no command \"%s\"\n  hint: See: pgrecast --help\n", argv[1]);
        return ERROR_USAGE;
    }
    stop_install();
    if (!run_command(command, argc - 1, argv + 1, &err)) {
        print_error(&err);
        status = err.kind != ERROR_NONE ? (int)err.kind : ERROR_FAILED;
    }
    error_clear(&err);
    return status;
}
