#include "cli/cli.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/command.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/stop.h"
#include "suggest.h"

#define LAST_WORDS "\npgrecast: stopped at once; see what is left with: " COMMAND_PLAIN("status") "\n"
#define WHAT_TO_CHANGE                                                                                       \
    "(--sql=SQL | -f FILE | --rebuild -t TABLE | --target=FILE -t TABLE | --partition-by=CLAUSE -t TABLE) "  \
    "[OPTION...]"

static const char *const shell_words[] = {"bash", "zsh", NULL};

static const struct option_spec job_operand = {
    .name = "job", .kind = OPTION_NAME, .to = FIELD(struct cli_options, job.name)};
static const struct option_spec shell_operand = {
    .name = "shell", .kind = OPTION_CHOICE, .to = FIELD(struct cli_options, shell), .choices = shell_words};

#define JOB_OPTIONAL .operand = &job_operand
#define JOB_NEEDED .operand = &job_operand, .operand_needed = true, .operand_missing = "name the job"

static const struct command commands[] = {
    {FOR_PLAN, "plan", WHAT_TO_CHANGE,
     "print what a change would do, and every reason to refuse it; changes nothing",
     .example = "pgrecast plan -d shop --sql 'ALTER TABLE orders ALTER COLUMN id TYPE bigint'",
     .output = true, .run = command_plan},
    {FOR_RUN, "run", WHAT_TO_CHANGE, "change the table online",
     .example =
         "pgrecast run -d shop --sql 'ALTER TABLE orders ALTER COLUMN id TYPE bigint' --rollback-window=24h",
     .run = command_run},
    {FOR_RESUME, "resume", "JOB [OPTION...]", "continue a job after any stop or crash, from where it stood",
     JOB_NEEDED, .example = "pgrecast resume orders -d shop", .run = command_resume},
    {FOR_STATUS, "status", "[JOB] [OPTION...]", "show a job, or all", JOB_OPTIONAL,
     .example = "pgrecast status orders -d shop --watch", .output = true, .run = command_status},
    {FOR_JOBS, "jobs", "[OPTION...]", "list the jobs of the database",
     .example = "pgrecast jobs -d shop --all", .output = true, .run = command_jobs},
    {FOR_CUTOVER, "cutover", "JOB [OPTION...]",
     "cut over a job that was started with --cutover=hold, or that was rolled back", JOB_NEEDED,
     .example = "pgrecast cutover orders -d shop --wait", .run = command_cutover},
    {FOR_ROLLBACK, "rollback", "JOB [OPTION...]",
     "return to the original, with every write since the cutover", JOB_NEEDED,
     .example = "pgrecast rollback orders -d shop", .run = command_rollback},
    {FOR_VERIFY, "verify", "JOB [OPTION...]", "compare all rows now; the running instance does it",
     JOB_NEEDED, .example = "pgrecast verify orders -d shop", .output = true, .run = command_verify},
    {FOR_FINISH, "finish", "JOB [OPTION...]",
     "end a job after its cutover or rollback: drop the inactive table", JOB_NEEDED,
     .example = "pgrecast finish orders -d shop", .run = command_finish},
    {FOR_ABORT, "abort", "JOB [OPTION...]",
     "remove everything that a job has made, while the original is active", JOB_NEEDED,
     .example = "pgrecast abort orders -d shop", .run = command_abort},
    {FOR_FORGET, "forget", "JOB [OPTION...]", "remove the records of the jobs of that name that have ended",
     JOB_NEEDED, .example = "pgrecast forget orders -d shop", .run = command_forget},
    {FOR_DECODE, "decode", "--slot=SLOT --publication=NAME [OPTION...] | --spool-dir=DIR",
     "stream a slot or a spool as JSON lines or protobuf",
     .example = "pgrecast decode -d shop --slot=changes --publication=all_orders", .output = true,
     .run = command_decode},
    {FOR_COMPLETION, "completion", "bash|zsh", "print a script that completes the command line in a shell",
     .hidden = true, .operand = &shell_operand, .operand_needed = true,
     .operand_missing = "name the shell: bash or zsh", .example = "source <(pgrecast completion bash)",
     .output = true, .run = command_completion},
};

const struct command *
cli_command(size_t n)
{
    return n < sizeof(commands) / sizeof(commands[0]) ? &commands[n] : NULL;
}

const struct command *
cli_find_command(const char *name, struct error *err)
{
    const struct command *command;
    struct suggestion nearest;

    suggest_begin(&nearest, name);
    for (size_t n = 0; (command = cli_command(n)) != NULL; n++) {
        if (strcmp(command->name, name) == 0)
            return command;
        suggest_consider(&nearest, command->name);
    }
    error_set(err, ERROR_USAGE, "there is no command \"%s\"", name);
    if (nearest.word != NULL)
        error_hint(err, "Did you mean %s? See: pgrecast --help", nearest.word);
    else
        error_hint(err, "See: pgrecast --help");
    return NULL;
}

/* The text after its head; further lines of it begin where the first one does. */
static void
print_lines(const char *head, const char *text)
{
    fputs(head, stderr);
    for (const char *c = text; *c != '\0'; c++) {
        fputc(*c, stderr);
        if (*c == '\n')
            fprintf(stderr, "%*s", (int)strlen(head), "");
    }
    fputc('\n', stderr);
}

/*
 * The only place where an error is printed. connection: for the commands of the hint.
 */
static void
print_error(const struct error *err, const char *connection)
{
    char *hint = err->hint != NULL ? command_expand(err->hint, connection) : NULL;

    fprintf(stderr, "pgrecast: %s\n", err->message);
    if (err->detail != NULL)
        print_lines("  ", err->detail);
    if (hint != NULL)
        print_lines("  hint: ", hint);
    free(hint);
}

/* How a command of the user's reaches the same server and state, for the commands that the program prints. */
static char *
connection_text(const struct cli_options *o)
{
    struct buffer text = {0};

    connection_add_options(&o->connection, &text);
    if (o->ask_password)
        buffer_add_text(&text, " -W");
    command_add_option(&text, "--state-owner=", o->job.state_owner);
    return buffer_take(&text);
}

static int
report_failure(struct error *err, const char *connection)
{
    int status;

    if (err->message == NULL)
        return (int)ERROR_FAILED;
    if (err->nothing) {
        printf("%s\n", err->message);
        error_clear(err);
        return 0;
    }
    print_error(err, connection);
    status = err->kind != ERROR_NONE ? (int)err->kind : ERROR_FAILED;
    error_clear(err);
    return status;
}

static void
ask_password(struct cli_options *options)
{
    char *password = getpass("Password: ");

    if (password != NULL)
        options->connection.password = mem_strdup(password);
}

static void
log_set_by_file(const struct cli_options *options)
{
    char *all = list_join(&options->set_by_file, " ");

    if (options->set_by_file.count > 0)
        log_info("options of the file: %s", all);
    free(all);
}

/* Returns the exit status. *product: whether what is printed is what the user has asked for. */
static int
run_command(const struct command *command, int argc, char **argv, bool *product)
{
    struct cli_options options;
    struct error err = {0};
    bool ok = cli_parse(command, argc, argv, &options, &err) && cli_read_file(command, &options, &err);
    char *connection = connection_text(&options), *last_words = command_expand(LAST_WORDS, connection);
    int status;

    *product = command->output || options.help;
    options.connection_text = connection;
    log_connection(connection);
    stop_set_message(last_words);
    if (ok && options.help) {
        cli_print_help(command, stdout);
    } else if (ok) {
        log_configure(options.log_format, options.verbose ? LOG_DEBUG : LOG_INFO);
        log_set_by_file(&options);
        if (options.ask_password)
            ask_password(&options);
        ok = command->run(&options, &err);
    } else if (err.hint == NULL) {
        error_hint(&err, "See: pgrecast %s --help", command->name);
    }
    status = ok ? 0 : report_failure(&err, connection);
    log_connection(NULL);
    stop_set_message(NULL);
    free(last_words);
    free(connection);
    cli_options_free(&options);
    return status;
}

/*
 * Write what is left in the buffer of standard output. A command whose product is its output has failed if that
 * cannot be written; any other command has done its work, and only its report is missing.
 */
static int
close_output(bool product, int status)
{
    bool before = ferror(stdout) != 0, failed = before;
    int why = 0;

    if (fflush(stdout) != 0) {
        failed = true;
        why = errno;
    } else if (before &&
               write(STDOUT_FILENO, "\n", 1) < 0) { /* the reason of the earlier failure is not kept */
        why = errno;
    }
    if (failed && status != ERROR_FAILED) /* otherwise the error that was printed may be this one */
        fprintf(stderr, "pgrecast: cannot write standard output%s%s\n%s", why != 0 ? ": " : "",
                why != 0 ? strerror(why) : "",
                product ? "" : "  What the command had to do is not affected: only its report is missing.\n");
    return failed && product && status == 0 ? ERROR_FAILED : status;
}

/* `pgrecast help [COMMAND]`. */
static bool
print_help(const char *name, struct error *err)
{
    const struct command *command;

    if (name == NULL) {
        cli_print_usage(stdout);
        return true;
    }
    command = cli_find_command(name, err);
    if (command != NULL)
        cli_print_help(command, stdout);
    return command != NULL;
}

int
cli_main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    const struct command *command = NULL;
    struct error err = {0};
    int status = 0;
    bool ok = true, product = true;

    if (word == NULL) {
        cli_print_usage(stderr);
        return ERROR_USAGE;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "help") == 0) {
        ok = print_help(argc > 2 ? argv[2] : NULL, &err);
    } else if (strcmp(word, "--version") == 0) {
        puts("pgrecast " PGRECAST_VERSION);
    } else {
        stop_install();
        command = cli_find_command(word, &err);
        ok = command != NULL;
    }
    status = command != NULL ? run_command(command, argc - 1, argv + 1, &product)
             : ok            ? 0
                             : report_failure(&err, NULL);
    return close_output(product, status);
}
