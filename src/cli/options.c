#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/buffer.h"
#include "core/mem.h"

enum option_code {
    OPT_SQL = 256,
    OPT_REBUILD,
    OPT_JOB,
    OPT_JOBS,
    OPT_CHUNK_SIZE,
    OPT_LOCK_TIMEOUT,
    OPT_CUTOVER_ATTEMPTS,
    OPT_CUTOVER,
    OPT_NO_VERIFY,
    OPT_KEEP_ORIGINAL,
    OPT_START_TIMEOUT,
    OPT_SPOOL_DIR,
    OPT_LOG_FORMAT,
    OPT_PROGRESS,
    OPT_JSON,
    OPT_WATCH,
    OPT_SLOT,
    OPT_PUBLICATION,
    OPT_FORMAT,
    OPT_LIMIT,
    OPT_ROLLBACK_WINDOW,
    OPT_REVERSE_MAP,
    OPT_EXIT_AFTER,
    OPT_RECONNECT_TIMEOUT,
    OPT_INVALID_INDEXES,
    OPT_PUBLISHED,
    OPT_HELP,
};

static const struct option long_options[] = {
    {"dbname", required_argument, NULL, 'd'},
    {"host", required_argument, NULL, 'h'},
    {"port", required_argument, NULL, 'p'},
    {"username", required_argument, NULL, 'U'},
    {"no-password", no_argument, NULL, 'w'},
    {"password", no_argument, NULL, 'W'},
    {"verbose", no_argument, NULL, 'v'},
    {"file", required_argument, NULL, 'f'},
    {"table", required_argument, NULL, 't'},
    {"sql", required_argument, NULL, OPT_SQL},
    {"rebuild", no_argument, NULL, OPT_REBUILD},
    {"job", required_argument, NULL, OPT_JOB},
    {"jobs", required_argument, NULL, OPT_JOBS},
    {"chunk-size", required_argument, NULL, OPT_CHUNK_SIZE},
    {"lock-timeout", required_argument, NULL, OPT_LOCK_TIMEOUT},
    {"cutover-attempts", required_argument, NULL, OPT_CUTOVER_ATTEMPTS},
    {"cutover", required_argument, NULL, OPT_CUTOVER},
    {"no-verify", no_argument, NULL, OPT_NO_VERIFY},
    {"keep-original", no_argument, NULL, OPT_KEEP_ORIGINAL},
    {"start-timeout", required_argument, NULL, OPT_START_TIMEOUT},
    {"spool-dir", required_argument, NULL, OPT_SPOOL_DIR},
    {"log-format", required_argument, NULL, OPT_LOG_FORMAT},
    {"progress", required_argument, NULL, OPT_PROGRESS},
    {"json", no_argument, NULL, OPT_JSON},
    {"watch", no_argument, NULL, OPT_WATCH},
    {"slot", required_argument, NULL, OPT_SLOT},
    {"publication", required_argument, NULL, OPT_PUBLICATION},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"limit", required_argument, NULL, OPT_LIMIT},
    {"rollback-window", required_argument, NULL, OPT_ROLLBACK_WINDOW},
    {"reverse-map", required_argument, NULL, OPT_REVERSE_MAP},
    {"exit-after", required_argument, NULL, OPT_EXIT_AFTER},
    {"reconnect-timeout", required_argument, NULL, OPT_RECONNECT_TIMEOUT},
    {"invalid-indexes", required_argument, NULL, OPT_INVALID_INDEXES},
    {"published", required_argument, NULL, OPT_PUBLISHED},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

/* Options every command takes. */
static const char common_options[] =
    " dbname host port username no-password password verbose log-format help ";

static bool
is_taken(const struct command *command, const char *name)
{
    char *word = mem_printf(" %s ", name);
    bool taken = strstr(common_options, word) != NULL || strstr(command->options, word) != NULL;

    free(word);
    return taken;
}

static const char *
long_name(int code)
{
    for (const struct option *o = long_options; o->name != NULL; o++) {
        if (o->val == code)
            return o->name;
    }
    return "?";
}

/* A number with a unit: the text must be used up. units is "ms" (ms, s, min), "s" (s, min, h, d), "B" (kB,
 * MB, GB) or "". */
static bool
parse_number(const char *option, const char *text, const char *units, int64_t least, int64_t most,
             int64_t *out, struct error *err)
{
    static const struct {
        const char *kind, *name;
        int64_t factor;
    } table[] = {
        {"ms", "ms", 1},      {"ms", "s", 1000},    {"ms", "min", 60000}, {"ms", "", 1}, {"s", "s", 1},
        {"s", "min", 60},     {"s", "h", 3600},     {"s", "d", 86400},    {"s", "", 1},  {"B", "kB", 1 << 10},
        {"B", "MB", 1 << 20}, {"B", "GB", 1 << 30}, {"B", "B", 1},        {"B", "", 1},  {"", "", 1},
    };
    char *end;
    long long number;

    errno = 0;
    number = strtoll(text, &end, 10);
    while (*end == ' ')
        end++;
    for (size_t i = 0; end != text && errno == 0 && i < sizeof(table) / sizeof(table[0]); i++) {
        int64_t value;

        if (strcmp(table[i].kind, units) != 0 || strcmp(table[i].name, end) != 0)
            continue;
        if (__builtin_mul_overflow((int64_t)number, table[i].factor, &value) || value < least || value > most)
            break;
        *out = value;
        return true;
    }
    return error_set(err, ERROR_USAGE, "--%s: \"%s\" is not a valid value", option, text);
}

static bool
parse_int(const char *option, const char *text, const char *units, int least, int most, int *out,
          struct error *err)
{
    int64_t value;

    if (!parse_number(option, text, units, least, most, &value, err))
        return false;
    *out = (int)value;
    return true;
}

static void
set_text(char **slot, const char *text)
{
    free(*slot);
    *slot = mem_strdup(text);
}

static bool
one_of(const char *option, const char *text, const char *words, struct error *err)
{
    char *word = mem_printf(" %s ", text), *list = mem_printf(" %s ", words);
    bool ok = strstr(list, word) != NULL;

    free(word);
    free(list);
    return ok || error_set(err, ERROR_USAGE, "--%s: \"%s\" is not one of: %s", option, text, words);
}

static bool
take_option(struct cli_options *o, int code, const char *arg, struct error *err)
{
    const char *name = long_name(code);

    switch (code) {
    case 'd':
        return set_text(&o->connection.dbname, arg), true;
    case 'h':
        return set_text(&o->connection.host, arg), true;
    case 'p':
        return set_text(&o->connection.port, arg), true;
    case 'U':
        return set_text(&o->connection.user, arg), true;
    case 'w':
        return o->connection.no_password = true;
    case 'W':
        return o->ask_password = true;
    case 'v':
        return o->verbose = true;
    case 'f':
        return set_text(&o->file, arg), true;
    case 't':
        return set_text(&o->table, arg), true;
    case OPT_SQL:
        return set_text(&o->sql, arg), true;
    case OPT_REBUILD:
        return o->rebuild = true;
    case OPT_JOB:
        return set_text(&o->job, arg), true;
    case OPT_JOBS:
        return parse_int(name, arg, "", 1, 64, &o->workers, err);
    case OPT_CHUNK_SIZE:
        return parse_number(name, arg, "B", 8192, INT64_C(1) << 30, &o->chunk_bytes, err);
    case OPT_LOCK_TIMEOUT:
        return parse_int(name, arg, "ms", 1, 60000, &o->lock_timeout_ms, err);
    case OPT_CUTOVER_ATTEMPTS:
        return parse_int(name, arg, "", 1, 1000000, &o->cutover_attempts, err);
    case OPT_CUTOVER:
        o->hold = strcmp(arg, "hold") == 0;
        return one_of(name, arg, "auto hold", err);
    case OPT_NO_VERIFY:
        return o->no_verify = true;
    case OPT_KEEP_ORIGINAL:
        return o->keep_original = true;
    case OPT_START_TIMEOUT:
        return parse_int(name, arg, "s", 1, 7 * 86400, &o->start_timeout_s, err);
    case OPT_SPOOL_DIR:
        return set_text(&o->spool_directory, arg), true;
    case OPT_LOG_FORMAT:
        set_text(&o->log_format, arg);
        return one_of(name, arg, "text json", err);
    case OPT_PROGRESS:
        set_text(&o->progress, arg);
        return one_of(name, arg, "auto bar line none", err);
    case OPT_JSON:
        return o->json = true;
    case OPT_WATCH:
        return o->watch = true;
    case OPT_SLOT:
        return set_text(&o->slot, arg), true;
    case OPT_PUBLICATION:
        return set_text(&o->publication, arg), true;
    case OPT_FORMAT:
        set_text(&o->format, arg);
        return one_of(name, arg, "json protobuf", err);
    case OPT_LIMIT:
        return parse_number(name, arg, "", 1, INT64_MAX, &o->limit, err);
    case OPT_ROLLBACK_WINDOW:
        return parse_number(name, arg, "s", 0, INT64_C(366) * 86400, &o->window_s, err);
    case OPT_REVERSE_MAP:
        o->reverse_maps =
            mem_array(o->reverse_maps, (size_t)o->reverse_map_count + 1, sizeof(*o->reverse_maps));
        o->reverse_maps[o->reverse_map_count++] = mem_strdup(arg);
        return true;
    case OPT_EXIT_AFTER:
        set_text(&o->exit_after, arg);
        return one_of(name, arg, "sync cutover", err);
    case OPT_RECONNECT_TIMEOUT:
        return parse_int(name, arg, "s", 0, 7 * 86400, &o->reconnect_s, err);
    case OPT_INVALID_INDEXES:
        o->rebuild_invalid = strcmp(arg, "rebuild") == 0;
        return one_of(name, arg, "refuse rebuild", err);
    case OPT_PUBLISHED:
        o->accept_published = strcmp(arg, "accept") == 0;
        return one_of(name, arg, "refuse accept", err);
    case OPT_HELP:
        return o->help = true;
    default:
        return false;
    }
}

static bool
take_positional(const struct command *command, int argc, char **argv, struct cli_options *o,
                struct error *err)
{
    if (command->takes_job && optind < argc)
        set_text(&o->job, argv[optind++]);
    if (optind < argc)
        return error_set(err, ERROR_USAGE, "unexpected argument \"%s\"", argv[optind]);
    if (command->needs_job && o->job == NULL && !o->help)
        return error_set(err, ERROR_USAGE, "name the job");
    return true;
}

static void
set_defaults(struct cli_options *o)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    memset(o, 0, sizeof(*o));
    o->workers = cores < 2 ? 2 : cores > 8 ? 8 : (int)cores;
    o->chunk_bytes = 8 * 1024 * 1024;
    o->lock_timeout_ms = 100;
    o->cutover_attempts = 60;
    o->start_timeout_s = 600;
    o->window_s = WINDOW_UNTIL_FINISH;
    o->reconnect_s = 600;
}

bool
cli_parse(const struct command *command, int argc, char **argv, struct cli_options *out, struct error *err)
{
    int code;

    set_defaults(out);
    opterr = 0;
    optind = 1;
    while ((code = getopt_long(argc, argv, ":d:h:p:U:wWvf:t:", long_options, NULL)) != -1) {
        const char *given = optind > 0 && optind <= argc ? argv[optind - 1] : "";

        if (code == ':')
            return error_set(err, ERROR_USAGE, "option \"%s\" needs a value", given);
        if (code == '?')
            return error_set(err, ERROR_USAGE, "there is no option \"%s\"", given);
        if (!is_taken(command, long_name(code)))
            return error_set(err, ERROR_USAGE, "\"%s\" takes no option --%s", command->name, long_name(code));
        if (!take_option(out, code, optarg, err))
            return false;
    }
    return take_positional(command, argc, argv, out, err);
}

void
cli_options_free(struct cli_options *o)
{
    free(o->connection.dbname);
    free(o->connection.host);
    free(o->connection.port);
    free(o->connection.user);
    free(o->connection.password);
    free(o->sql);
    free(o->file);
    free(o->table);
    free(o->job);
    free(o->spool_directory);
    free(o->slot);
    free(o->publication);
    free(o->format);
    free(o->log_format);
    free(o->progress);
    free(o->exit_after);
    for (int i = 0; i < o->reverse_map_count; i++)
        free(o->reverse_maps[i]);
    free(o->reverse_maps);
    memset(o, 0, sizeof(*o));
}

char *
cli_read_sql(const struct cli_options *o, struct error *err)
{
    struct buffer text = {0};
    FILE *file;
    size_t got;

    if (o->sql != NULL)
        return mem_strdup(o->sql);
    file = strcmp(o->file, "-") == 0 ? stdin : fopen(o->file, "r");
    if (file == NULL) {
        error_set(err, ERROR_USAGE, "cannot read \"%s\": %m", o->file);
        return NULL;
    }
    do {
        got = fread(buffer_reserve(&text, 65536), 1, 65536, file);
        text.len += got;
    } while (got > 0);
    if (ferror(file))
        error_set(err, ERROR_USAGE, "cannot read \"%s\": %m", o->file);
    if (file != stdin)
        fclose(file);
    buffer_add(&text, "", 0);
    if (err->message != NULL) {
        buffer_free(&text);
        return NULL;
    }
    return buffer_take(&text);
}
