/* The command line's own options, and the parsing of a command's arguments by these and the job's options. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "core/buffer.h"
#include "core/mem.h"
#include "parse/directive.h"
#include "suggest.h"

static const char *const format_words[] = {"json", "protobuf", NULL};
static const char *const log_format_words[] = {"text", "json", NULL};

#define TO(member) FIELD(struct cli_options, member)

/* clang-format off */
/* In the order of the help, section by section. */
static const struct option_spec own_option_specs[] = {
    {.name = "sql", .kind = OPTION_TEXT, .commands = FOR_PLAN | FOR_RUN, .section = SECTION_WHAT,
     .to = TO(sql), .metavar = "SQL",
     .help = "ALTER TABLE, CREATE, ALTER and DROP INDEX, ALTER SEQUENCE AS and COMMENT ON statements, on one table or several"},
    {.name = "file", .letter = 'f', .kind = OPTION_FILE, .commands = FOR_PLAN | FOR_RUN,
     .section = SECTION_WHAT, .to = TO(file), .help = "the same from a file; - is standard input; comments like \"-- pgrecast: rollback-window=24h\" in it set options"},
    {.name = "rebuild", .kind = OPTION_FLAG, .commands = FOR_PLAN | FOR_RUN, .section = SECTION_WHAT,
     .to = TO(rebuild), .help = "change nothing: make a new table without bloat; needs -t TABLE"},
    {.name = "table", .letter = 't', .kind = OPTION_TEXT, .commands = FOR_PLAN | FOR_RUN,
     .section = SECTION_WHAT, .to = TO(table), .metavar = "TABLE", .help = "the table that --rebuild, --target or --partition-by is about"},
    {.name = "target", .kind = OPTION_FILE, .commands = FOR_PLAN | FOR_RUN, .section = SECTION_WHAT,
     .to = TO(target), .help = "what the table is to become: a file with its CREATE TABLE, indexes, constraints and comments; needs -t TABLE"},
    {.name = "partition-by", .kind = OPTION_TEXT, .commands = FOR_PLAN | FOR_RUN, .section = SECTION_WHAT,
     .to = TO(partition_by), .metavar = "'range (COLUMN)'",
     .help = "partition the table by a date or a timestamp: the short form of a target; needs -t TABLE and --every"},
    {.name = "every", .kind = OPTION_TEXT, .commands = FOR_PLAN | FOR_RUN, .section = SECTION_WHAT, .to = TO(every),
     .metavar = "INTERVAL", .help = "with --partition-by: what a partition holds: '1 month', '1 week', '1 day'"},
    {.name = "from", .kind = OPTION_TEXT, .commands = FOR_PLAN | FOR_RUN, .section = SECTION_WHAT, .to = TO(from),
     .metavar = "DATE", .help = "with --partition-by: where the first partition begins; without it, where the values do"},
    {.name = "ahead", .kind = OPTION_COUNT, .commands = FOR_PLAN | FOR_RUN, .section = SECTION_WHAT, .to = TO(ahead),
     .standard = 6, .most = 1000,
     .help = "with --partition-by: partitions after the one of today, or of the largest value"},
    {.name = "default", .kind = OPTION_FLAG, .commands = FOR_PLAN | FOR_RUN, .section = SECTION_WHAT,
     .to = TO(default_partition), .help = "with --partition-by: a default partition, for all other rows"},
    {.name = "extend-key", .kind = OPTION_FLAG, .commands = FOR_PLAN | FOR_RUN, .section = SECTION_WHAT,
     .to = TO(extend_key),
     .help = "with --partition-by: add the column to unique keys that lack it; they then guarantee less"},
    {.name = "write-target", .kind = OPTION_FILE, .commands = FOR_PLAN, .section = SECTION_WHAT,
     .to = TO(write_target), .help = "with --partition-by: write the target to a new file, to be edited for --target"},
    {.name = "map", .kind = OPTION_TEXTS, .in_file = true, .commands = FOR_PLAN | FOR_RUN, .section = SECTION_WHAT,
     .to = FIELD_LIST(struct cli_options, maps, map_count, NULL), .metavar = "'COLUMN=EXPRESSION'",
     .help = "with --target: what a column gets from the table's row as it was; may be repeated"},
    {.name = "tablespace", .kind = OPTION_NAME, .in_file = true, .commands = FOR_PLAN | FOR_RUN, .section = SECTION_WHAT,
     .to = TO(tablespace), .help = "move the table and its TOAST data there, as ALTER TABLE SET TABLESPACE does; its indexes stay"},
    {.name = "index-tablespace", .kind = OPTION_NAME, .in_file = true, .commands = FOR_PLAN | FOR_RUN, .section = SECTION_WHAT,
     .to = TO(index_tablespace), .metavar = "NAME", .help = "move the indexes that the table has there"},
    {.name = "json", .kind = OPTION_FLAG, .commands = FOR_STATUS | FOR_JOBS, .to = TO(json),
     .help = "print JSON: one array of objects"},
    {.name = "json", .kind = OPTION_FLAG, .commands = FOR_VERIFY, .to = TO(json), .help = "print JSON: one object"},
    {.name = "or-resume", .kind = OPTION_FLAG, .commands = FOR_PLAN | FOR_RUN, .to = TO(or_resume),
     .help = "continue the job that has the same statements, or exit 0 if it has finished; start it if there is none"},
    {.name = "all", .kind = OPTION_FLAG, .commands = FOR_JOBS, .to = TO(all),
     .help = "list those that have ended too"},
    {.name = "record", .kind = OPTION_COUNT, .commands = FOR_STATUS | FOR_FORGET, .to = TO(record), .least = 1,
     .most = INT64_MAX, .help = "the job of this number in `jobs --all`, if several jobs of that name have ended"},
    {.name = "wait", .kind = OPTION_FLAG, .commands = FOR_CUTOVER, .to = TO(wait),
     .help = "wait until it is done or has failed: exit 5 if there was no lock, 4 if the tables are not equal"},
    {.name = "watch", .kind = OPTION_FLAG, .commands = FOR_STATUS, .to = TO(watch),
     .help = "print it again every second, until the job has ended"},
    {.name = "slot", .kind = OPTION_NAME, .commands = FOR_DECODE, .to = TO(slot), .metavar = "SLOT",
     .help = "an existing slot of plugin pgoutput; changes that were read are removed from it"},
    {.name = "publication", .kind = OPTION_NAME, .commands = FOR_DECODE, .to = TO(publication),
     .metavar = "NAME", .help = "the publication to stream"},
    {.name = "spool-dir", .kind = OPTION_DIRECTORY, .commands = FOR_DECODE, .to = TO(job.spool_directory),
     .help = "read the spool of a job instead"},
    {.name = "format", .kind = OPTION_CHOICE, .commands = FOR_DECODE, .to = TO(format),
     .choices = format_words, .help = "json: one line for each record; protobuf: length-delimited"},
    {.name = "limit", .kind = OPTION_COUNT, .commands = FOR_DECODE, .to = TO(limit), .least = 1,
     .most = INT64_MAX, .help = "end after so many records"},
    {.name = "dbname", .letter = 'd', .kind = OPTION_TEXT, .commands = FOR_ALL_ON_SERVERS,
     .section = SECTION_CONNECTION, .to = TO(connection.dbname), .metavar = "NAME",
     .help = "database, conninfo string or URI"},
    {.name = "host", .letter = 'h', .kind = OPTION_TEXT, .commands = FOR_ALL_ON_SERVERS,
     .section = SECTION_CONNECTION, .to = TO(connection.host), .metavar = "HOST",
     .help = "host of the server, or directory of its socket"},
    {.name = "port", .letter = 'p', .kind = OPTION_TEXT, .commands = FOR_ALL_ON_SERVERS,
     .section = SECTION_CONNECTION, .to = TO(connection.port), .metavar = "PORT",
     .help = "port of the server"},
    {.name = "username", .letter = 'U', .kind = OPTION_TEXT, .commands = FOR_ALL_ON_SERVERS,
     .section = SECTION_CONNECTION, .to = TO(connection.user), .metavar = "NAME",
     .help = "role to connect as"},
    {.name = "no-password", .letter = 'w', .kind = OPTION_FLAG, .commands = FOR_ALL_ON_SERVERS,
     .section = SECTION_CONNECTION, .to = TO(connection.no_password), .help = "never ask for a password"},
    {.name = "password", .letter = 'W', .kind = OPTION_FLAG, .commands = FOR_ALL_ON_SERVERS,
     .section = SECTION_CONNECTION, .to = TO(ask_password), .help = "ask for it"},
    {.name = "log-format", .kind = OPTION_CHOICE, .commands = FOR_ALL_ON_SERVERS, .section = SECTION_GENERAL,
     .to = TO(log_format), .choices = log_format_words, .help = "format of the log on standard error"},
    {.name = "verbose", .letter = 'v', .kind = OPTION_FLAG, .commands = FOR_ALL_ON_SERVERS,
     .section = SECTION_GENERAL, .to = TO(verbose), .help = "more lines in the log"},
    {.name = "help", .kind = OPTION_FLAG, .commands = FOR_ALL, .section = SECTION_GENERAL, .to = TO(help),
     .help = "print this help"},
};
/* clang-format on */

static const struct option_table own_option_table = OPTION_TABLE(struct cli_options, own_option_specs);

/* All tables of options, and the offset in struct cli_options of the struct to which each belongs. */
static const struct source {
    const struct option_table *table;
    size_t offset;
} sources[] = {
    {&own_option_table, 0},
    {&job_option_table, offsetof(struct cli_options, job)},
};
#define SOURCE_COUNT (sizeof(sources) / sizeof(sources[0]))

static void *
object_of(const struct source *source, struct cli_options *o)
{
    return (char *)o + source->offset;
}

const struct option_spec *
cli_option(size_t n)
{
    for (size_t i = 0; i < SOURCE_COUNT; n -= sources[i++].table->count) {
        if (n < sources[i].table->count)
            return &sources[i].table->options[n];
    }
    return NULL;
}

/*
 * The options in the form of getopt_long(). Every name is there once, whichever command takes it, so that an
 * option of another command is recognized. The code of a name is 256 plus the number of the first option that
 * has it.
 */
struct getopt_view {
    struct buffer letters;
    struct option *names;
};

#define CODE_OF_NAME 256

/* The number of the first option with that name. */
static size_t
find_name(const char *name)
{
    size_t n = 0;

    while (strcmp(cli_option(n)->name, name) != 0)
        n++;
    return n;
}

static void
view_open(struct getopt_view *view)
{
    const struct option_spec *o;
    size_t count = 0;

    buffer_add_text(&view->letters, ":"); /* with this getopt reports a missing value separately */
    for (size_t n = 0; (o = cli_option(n)) != NULL; n++) {
        int takes = option_takes_value(o) ? required_argument : no_argument;

        if (find_name(o->name) != n)
            continue;
        if (o->letter != 0)
            buffer_printf(&view->letters, "%c%s", o->letter, takes == required_argument ? ":" : "");
        view->names = mem_array(view->names, count + 2, sizeof(*view->names));
        view->names[count++] = (struct option){o->name, takes, NULL, CODE_OF_NAME + (int)n};
        view->names[count] = (struct option){0};
    }
}

static void
view_close(struct getopt_view *view)
{
    buffer_free(&view->letters);
    free(view->names);
}

/* An option with the name that belongs to the code from getopt_long(). */
static const struct option_spec *
option_of_code(int code)
{
    size_t n = code < CODE_OF_NAME ? 0 : (size_t)(code - CODE_OF_NAME);

    while (code < CODE_OF_NAME && cli_option(n)->letter != code)
        n++;
    return cli_option(n);
}

/* Hint: the commands that take the option. */
static bool
hint_takers(const char *name, struct error *err)
{
    const struct option_spec *o;
    const struct command *command;
    struct buffer takers = {0};

    for (size_t i = 0; (command = cli_command(i)) != NULL; i++)
        for (size_t n = 0; (o = cli_option(n)) != NULL; n++)
            if ((o->commands & command->bit) != 0 && strcmp(o->name, name) == 0)
                buffer_printf(&takers, "%s%s", takers.len > 0 ? ", " : "", command->name);
    error_hint(err, "It belongs to: %s.", takers.data);
    buffer_free(&takers);
    return false;
}

/* Set the option as the entry for this command says. */
static bool
take_option(const struct command *command, const char *name, const char *value, struct cli_options *out,
            struct error *err)
{
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        for (size_t n = 0; n < sources[i].table->count; n++) {
            const struct option_spec *o = &sources[i].table->options[n];

            if ((o->commands & command->bit) != 0 && strcmp(o->name, name) == 0)
                return option_set(o, value, object_of(&sources[i], out), err) ||
                       error_context(err, "--%s", name);
        }
    }
    error_set(err, ERROR_USAGE, "\"%s\" takes no option --%s", command->name, name);
    return hint_takers(name, err);
}

/* text: as it was typed, with dashes and maybe a value. */
static bool
refuse_unknown(const struct command *command, const char *text, struct error *err)
{
    const struct option_spec *o;
    struct suggestion nearest;
    const char *begin = text + strspn(text, "-");
    char *name = mem_strndup(begin, strcspn(begin, "="));

    error_set(err, ERROR_USAGE, "there is no option \"%s\"", text);
    suggest_begin(&nearest, name);
    for (size_t n = 0; strncmp(text, "--", 2) == 0 && (o = cli_option(n)) != NULL; n++)
        if ((o->commands & command->bit) != 0)
            suggest_consider(&nearest, o->name);
    if (nearest.word != NULL && strcmp(nearest.word, name) != 0)
        error_hint(err, "Did you mean --%s? See: pgrecast %s --help", nearest.word, command->name);
    free(name);
    return false;
}

static bool
take_options(const struct command *command, int argc, char **argv, const struct getopt_view *view,
             struct cli_options *out, struct error *err)
{
    int code;

    opterr = 0;
    optind = 0; /* begin anew, also where arguments were parsed before */
    while ((code = getopt_long(argc, argv, view->letters.data, view->names, NULL)) != -1) {
        const char *given = optind > 0 && optind <= argc ? argv[optind - 1] : "";

        if (code == ':')
            return error_set(err, ERROR_USAGE, "option \"%s\" needs a value", given);
        if (code == '?')
            return refuse_unknown(command, given, err);
        if (!take_option(command, option_of_code(code)->name, optarg, out, err))
            return false;
        list_add_once(&out->given, option_of_code(code)->name);
    }
    return true;
}

static bool
take_operand(const struct command *command, int argc, char **argv, struct cli_options *out, struct error *err)
{
    bool given = command->operand != NULL && optind < argc;

    if (given && !option_set(command->operand, argv[optind++], out, err))
        return error_context(err, "%s", command->name);
    if (optind < argc)
        return error_set(err, ERROR_USAGE, "unexpected argument \"%s\"", argv[optind]);
    if (command->operand_needed && !given && !out->help)
        return error_set(err, ERROR_USAGE, "%s", command->operand_missing);
    return true;
}

bool
cli_parse(const struct command *command, int argc, char **argv, struct cli_options *out, struct error *err)
{
    struct getopt_view view = {0};
    bool ok;

    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < SOURCE_COUNT; i++)
        options_set_standard(sources[i].table, object_of(&sources[i], out));
    out->job.connection = &out->connection;
    view_open(&view);
    ok = take_options(command, argc, argv, &view, out, err) && take_operand(command, argc, argv, out, err);
    view_close(&view);
    return ok;
}

void
cli_options_free(struct cli_options *o)
{
    for (size_t i = 0; i < SOURCE_COUNT; i++)
        options_free(sources[i].table, object_of(&sources[i], o));
    free(o->connection.password);
    free(o->file_text);
    list_free(&o->given);
    list_free(&o->set_by_file);
    memset(o, 0, sizeof(*o));
}

static char *
read_file(const char *path, struct error *err)
{
    struct buffer text = {0};
    FILE *file;
    size_t got;

    file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (file == NULL) {
        error_set(err, ERROR_USAGE, "cannot read \"%s\": %m", path);
        return NULL;
    }
    do {
        got = fread(buffer_reserve(&text, 65536), 1, 65536, file);
        text.len += got;
    } while (got > 0);
    if (ferror(file))
        error_set(err, ERROR_USAGE, "cannot read \"%s\": %m", path);
    if (file != stdin)
        fclose(file);
    buffer_add(&text, "", 0);
    if (err->message != NULL) {
        buffer_free(&text);
        return NULL;
    }
    return buffer_take(&text);
}

/* Set what the file says of an option, unless the command line says something else. */
static bool
take_directive(const struct command *command, const struct directive *d, struct cli_options *out,
               struct error *err)
{
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        for (size_t n = 0; n < sources[i].table->count; n++) {
            const struct option_spec *o = &sources[i].table->options[n];

            if (!o->in_file || (o->commands & command->bit) == 0 || strcmp(o->name, d->name) != 0)
                continue;
            if (option_takes_value(o) != (d->value != NULL))
                return error_set(err, ERROR_USAGE, "\"%s\" %s", d->name,
                                 d->value != NULL ? "takes no value" : "needs a value");
            if (list_has(&out->given, d->name))
                return true;
            if (d->value != NULL)
                list_addf(&out->set_by_file, "%s=%s", d->name, d->value);
            else
                list_add_once(&out->set_by_file, d->name);
            return option_set(o, d->value, object_of(&sources[i], out), err) ||
                   error_context(err, "%s", d->name);
        }
    }
    error_set(err, ERROR_USAGE, "a file cannot set \"%s\"", d->name);
    return error_hint(err, "Give it on the command line. What a file can set: docs/frameworks.md.");
}

bool
cli_read_file(const struct command *command, struct cli_options *o, struct error *err)
{
    const char *path = o->target != NULL ? o->target : o->file;
    struct directive_list directives = {0};
    bool ok = true;

    if (o->sql != NULL || path == NULL || o->help)
        return true;
    o->file_text = read_file(path, err);
    ok = o->file_text != NULL && directives_read(o->file_text, &directives, err);
    for (int i = 0; ok && i < directives.count; i++) {
        ok = take_directive(command, &directives.items[i], o, err);
        if (!ok)
            directive_point(o->file_text, &directives.items[i], err);
    }
    directives_free(&directives);
    return ok;
}

char *
cli_sql(const struct cli_options *o)
{
    return mem_strdup(o->sql != NULL ? o->sql : o->file_text);
}
