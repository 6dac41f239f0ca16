/* The tables of options, and what comes from them: parsing, the help, the completion, the JSON of a job
 * (src/options, src/job/options.c, src/cli). */
#include "support.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "core/mem.h"

#define ARGUMENTS_MOST 16

static const struct command *
find_command(const char *name)
{
    const struct command *command;

    for (size_t n = 0; (command = cli_command(n)) != NULL; n++) {
        if (strcmp(command->name, name) == 0)
            return command;
    }
    fail_msg("no command %s", name);
    return NULL;
}

/* Parse "COMMAND ARGUMENT…", each after a single space. */
static bool
parse(const char *line, struct cli_options *out, struct error *err)
{
    char *text = strdup(line), *rest = text, *arguments[ARGUMENTS_MOST + 1] = {0};
    int count = 0;
    bool ok;

    while (rest != NULL && count < ARGUMENTS_MOST)
        arguments[count++] = strsep(&rest, " ");
    ok = cli_parse(find_command(arguments[0]), count, arguments, out, err);
    free(text);
    return ok;
}

static void
accept(const char *line, struct cli_options *out)
{
    struct error err = {0};

    assert_ok(parse(line, out, &err), &err);
}

static void
refuse(const char *line, const char *message)
{
    struct cli_options options;
    struct error err = {0};

    assert_false(parse(line, &options, &err));
    assert_int_equal(err.kind, ERROR_USAGE);
    assert_string_equal(err.message, message);
    error_clear(&err);
    cli_options_free(&options);
}

static bool
is_kind_of(const struct option_spec *o)
{
    enum field_kind to = o->to.kind;

    switch (o->kind) {
    case OPTION_FLAG:
        return to == KIND_BOOL;
    case OPTION_TEXT:
    case OPTION_NAME:
    case OPTION_FILE:
    case OPTION_DIRECTORY:
        return to == KIND_TEXT && !o->stored;
    case OPTION_TEXTS:
        return to == KIND_LIST && !o->stored;
    case OPTION_COUNT:
    case OPTION_MS:
    case OPTION_SECONDS:
    case OPTION_SIZE:
        return (to == KIND_INT || to == KIND_INT64) && o->least <= o->most &&
               (to == KIND_INT64 || (o->least >= INT32_MIN && o->most <= INT32_MAX));
    case OPTION_CHOICE:
        return o->choices != NULL && (to == KIND_UINT32 || (to == KIND_BOOL && o->least == 0));
    }
    return false;
}

/* Entries of one name are one option: parsed alike, and each command has at most one of them. */
static void
test_the_tables_are_sound(void **state)
{
    const struct option_spec *a, *b;

    (void)state;
    for (size_t i = 0; (a = cli_option(i)) != NULL; i++) {
        assert_true(is_kind_of(a));
        assert_int_not_equal(a->commands & FOR_ALL, 0);
        for (size_t k = i + 1; (b = cli_option(k)) != NULL; k++) {
            if (strcmp(a->name, b->name) == 0) {
                assert_int_equal(a->kind, b->kind);
                assert_int_equal(a->letter, b->letter);
                assert_int_equal(a->commands & b->commands, 0);
                assert_false(b->stored);
            } else {
                assert_true(a->letter == 0 || a->letter != b->letter);
            }
        }
    }
}

static void
test_each_command_has_a_bit(void **state)
{
    const struct command *command;
    unsigned int bits = 0;

    (void)state;
    for (size_t n = 0; (command = cli_command(n)) != NULL; n++) {
        assert_int_equal(__builtin_popcount(command->bit), 1);
        assert_int_equal(bits & command->bit, 0);
        bits |= command->bit;
    }
    assert_int_equal(bits, FOR_ALL);
}

static void
test_defaults(void **state)
{
    struct cli_options o;

    (void)state;
    accept("run", &o);
    assert_in_range(o.job.workers, 2, 8);
    assert_int_equal(o.job.chunk_bytes, 8 * 1024 * 1024);
    assert_int_equal(o.job.lock_timeout_ms, 100);
    assert_int_equal(o.job.cutover_attempts, 60);
    assert_false(o.job.hold);
    assert_true(o.job.verify);
    assert_false(o.job.keep_original);
    assert_int_equal(o.job.start_timeout_s, 600);
    assert_true(o.job.window_s == WINDOW_UNTIL_FINISH);
    assert_int_equal(o.job.exit, EXIT_AT_END);
    assert_int_equal(o.job.reconnect_s, 600);
    assert_int_equal(o.job.progress, PROGRESS_AUTO);
    assert_ptr_equal(o.job.connection, &o.connection);
    assert_int_equal(o.log_format, LOG_TEXT);
    assert_int_equal(o.format, DECODE_JSON);
    assert_int_equal(o.limit, 0);
    cli_options_free(&o);
}

static void
test_counts(void **state)
{
    struct cli_options o;

    (void)state;
    accept("run --jobs=1 --cutover-attempts 1000000", &o);
    assert_int_equal(o.job.workers, 1);
    assert_int_equal(o.job.cutover_attempts, 1000000);
    cli_options_free(&o);
    accept("decode --limit=9223372036854775807", &o);
    assert_true(o.limit == INT64_MAX);
    cli_options_free(&o);
    refuse("run --jobs=0", "--jobs: \"0\" is not a valid value");
    refuse("run --jobs=65", "--jobs: \"65\" is not a valid value");
    refuse("run --jobs=many", "--jobs: \"many\" is not a valid value");
    refuse("run --jobs=", "--jobs: \"\" is not a valid value");
    refuse("run --jobs=4s", "--jobs: \"4s\" is not a valid value");
    refuse("run --jobs=4294967298", "--jobs: \"4294967298\" is not a valid value");
    refuse("decode --limit=9223372036854775808", "--limit: \"9223372036854775808\" is not a valid value");
}

static void
test_times(void **state)
{
    static const struct {
        const char *text;
        int ms;
    } locks[] = {{"1ms", 1}, {"250ms", 250}, {"2s", 2000}, {"1min", 60000}, {"1m", 60000}, {"1s500ms", 1500}};
    static const struct {
        const char *text;
        int64_t seconds;
    } windows[] = {
        {"0", 0},      {"90s", 90},       {"10min", 600}, {"24h", 86400},    {"366d", INT64_C(366) * 86400},
        {"30m", 1800}, {"1d12h", 129600}, {"1w", 604800}, {"1h30min", 5400}, {"1w2d3h4m5s", 788645},
        {"2000ms", 2}, {"0s", 0}};
    struct cli_options o;
    char line[80];

    (void)state;
    for (size_t i = 0; i < sizeof(locks) / sizeof(locks[0]); i++) {
        snprintf(line, sizeof(line), "run --lock-timeout=%s", locks[i].text);
        accept(line, &o);
        assert_int_equal(o.job.lock_timeout_ms, locks[i].ms);
        cli_options_free(&o);
    }
    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        snprintf(line, sizeof(line), "plan --rollback-window=%s", windows[i].text);
        accept(line, &o);
        assert_int_equal(o.job.window_s, windows[i].seconds);
        cli_options_free(&o);
    }
    refuse("run --lock-timeout=0", "--lock-timeout: \"0\" is not a valid value");
    refuse("run --lock-timeout=61s", "--lock-timeout: \"61s\" is not a valid value");
    refuse("run --lock-timeout=1h", "--lock-timeout: \"1h\" is not a valid value");
    refuse("run --rollback-window=soon", "--rollback-window: \"soon\" is not a valid value");
    refuse("run --rollback-window=-1s", "--rollback-window: \"-1s\" is not a valid value");
    refuse("run --rollback-window=367d", "--rollback-window: \"367d\" is not a valid value");
    refuse("run --rollback-window=1sec", "--rollback-window: \"1sec\" is not a valid value");
    refuse("run --rollback-window=9223372036854775807d",
           "--rollback-window: \"9223372036854775807d\" is not a valid value");
    refuse("run --rollback-window=12h1d", "--rollback-window: \"12h1d\" is not a valid value");
    refuse("run --rollback-window=1h1h", "--rollback-window: \"1h1h\" is not a valid value");
    refuse("run --rollback-window=1h-5min", "--rollback-window: \"1h-5min\" is not a valid value");
    refuse("run --rollback-window=250ms", "--rollback-window: \"250ms\" is not a valid value");
    refuse("run --rollback-window=1.5h", "--rollback-window: \"1.5h\" is not a valid value");
    refuse("run --rollback-window=1h,", "--rollback-window: \"1h,\" is not a valid value");
    refuse("run --rollback-window=24H", "--rollback-window: \"24H\" is not a valid value");
}

/* What the error of this line hints at. */
static void
check_hint(const char *line, const char *hint)
{
    struct cli_options options;
    struct error err = {0};

    assert_false(parse(line, &options, &err));
    assert_int_equal(err.kind, ERROR_USAGE);
    assert_string_equal(err.hint, hint);
    error_clear(&err);
    cli_options_free(&options);
}

/* Of every option that takes a time or a size: 24 could be hours, and was seconds. Only 0 needs no unit. */
static void
test_a_bare_number_is_refused(void **state)
{
    const struct command *command;
    const struct option_spec *o;

    (void)state;
    for (size_t i = 0; (command = cli_command(i)) != NULL; i++) {
        for (size_t n = 0; (o = cli_option(n)) != NULL; n++) {
            bool measured = o->kind == OPTION_MS || o->kind == OPTION_SECONDS || o->kind == OPTION_SIZE;
            char line[80], message[80];

            if (!measured || (o->commands & command->bit) == 0)
                continue;
            snprintf(line, sizeof(line), "%s --%s=24", command->name, o->name);
            snprintf(message, sizeof(message), "--%s: \"24\" has no unit", o->name);
            refuse(line, message);
        }
    }
    refuse("run --rollback-window=1d12", "--rollback-window: \"1d12\" has no unit");
    check_hint("run --rollback-window=24",
               "A time needs a unit: s, min (or m), h, d or w, as in 90s, 30min, 24h or 1d12h.");
    check_hint("run --rollback-window=soon",
               "A time needs a unit: s, min (or m), h, d or w, as in 90s, 30min, 24h or 1d12h.");
    check_hint("run --lock-timeout=1",
               "A time needs a unit: ms, s, min (or m), h, d or w, as in 250ms or 2s.");
    check_hint("run --chunk-size=8192", "A size needs a unit: B, kB, MB, GB or TB, as in 512kB or 64MB.");
    check_hint("run --lock-timeout=1h", "It may be from 1ms to 1min.");
    check_hint("run --rollback-window=99w", "It may be from 0 to 366d.");
    check_hint("run --jobs=65", "It may be from 1 to 64.");
}

static void
test_sizes(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } sizes[] = {{"8kB", 8192}, {"8192B", 8192}, {"64MB", 64 << 20}, {"1GB", 1 << 30}};
    struct cli_options o;
    char line[80];

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        snprintf(line, sizeof(line), "run --chunk-size %s", sizes[i].text);
        accept(line, &o);
        assert_int_equal(o.job.chunk_bytes, sizes[i].bytes);
        cli_options_free(&o);
    }
    refuse("run --chunk-size=8191B", "--chunk-size: \"8191B\" is not a valid value");
    refuse("run --chunk-size=1MB1kB", "--chunk-size: \"1MB1kB\" is not a valid value");
    refuse("run --chunk-size=2GB", "--chunk-size: \"2GB\" is not a valid value");
    refuse("run --chunk-size=64mb", "--chunk-size: \"64mb\" is not a valid value");
}

static void
test_choices(void **state)
{
    struct cli_options o;

    (void)state;
    accept("run --cutover=hold --exit-after=sync --progress=none --published=accept", &o);
    assert_true(o.job.hold);
    assert_int_equal(o.job.exit, EXIT_IN_SYNC);
    assert_int_equal(o.job.progress, PROGRESS_NONE);
    assert_true(o.job.plan.accept_published);
    assert_false(o.job.plan.rebuild_invalid);
    cli_options_free(&o);
    accept("run --cutover=hold --cutover=auto --exit-after=cutover --invalid-indexes=rebuild", &o);
    assert_false(o.job.hold);
    assert_int_equal(o.job.exit, EXIT_CUT_OVER);
    assert_true(o.job.plan.rebuild_invalid);
    cli_options_free(&o);
    accept("decode --format=protobuf --log-format=json", &o);
    assert_int_equal(o.format, DECODE_PROTOBUF);
    assert_int_equal(o.log_format, LOG_JSON);
    cli_options_free(&o);
    refuse("run --cutover=perhaps", "--cutover: \"perhaps\" is not one of: auto hold");
    refuse("run --cutover=", "--cutover: \"\" is not one of: auto hold");
    refuse("run --cutover=HOLD", "--cutover: \"HOLD\" is not one of: auto hold");
    refuse("run --exit-after=copy", "--exit-after: \"copy\" is not one of: sync cutover");
    refuse("run --progress=dots", "--progress: \"dots\" is not one of: auto bar line none");
}

static void
test_flags_and_texts(void **state)
{
    struct cli_options o;

    (void)state;
    accept("run --no-verify --keep-original --rebuild -t a --table b --spool-dir=/s -wv", &o);
    assert_false(o.job.verify);
    assert_true(o.job.keep_original);
    assert_true(o.rebuild);
    assert_string_equal(o.table, "b");
    assert_string_equal(o.job.spool_directory, "/s");
    assert_true(o.connection.no_password);
    assert_true(o.verbose);
    cli_options_free(&o);
    accept("decode --spool-dir=/s -d db -h host -p 5 -U me -W", &o);
    assert_string_equal(o.job.spool_directory, "/s");
    cli_options_free(&o);
    accept("plan -f -", &o);
    assert_string_equal(o.file, "-");
    cli_options_free(&o);
    refuse("run --rebuild=yes", "there is no option \"--rebuild=yes\"");
}

static void
test_texts_that_are_repeated(void **state)
{
    struct cli_options o;

    (void)state;
    accept("rollback j --reverse-map=a=b --reverse-map c=d", &o);
    assert_string_equal(o.job.name, "j");
    assert_int_equal(o.job.plan.reverse_map_count, 2);
    assert_string_equal(o.job.plan.reverse_maps[0], "a=b");
    assert_string_equal(o.job.plan.reverse_maps[1], "c=d");
    cli_options_free(&o);
    assert_null(o.job.plan.reverse_maps);
}

/* Of every option and every command that does not take it. */
static void
test_an_option_of_another_command_is_refused(void **state)
{
    const struct command *command;
    const struct option_spec *o;

    (void)state;
    for (size_t i = 0; (command = cli_command(i)) != NULL; i++) {
        for (size_t n = 0; (o = cli_option(n)) != NULL; n++) {
            const struct option_spec *other;
            unsigned int takers = 0;
            char line[80], message[80];

            for (size_t k = 0; (other = cli_option(k)) != NULL; k++)
                takers |= strcmp(other->name, o->name) == 0 ? other->commands : 0;
            if ((takers & command->bit) != 0)
                continue;
            snprintf(line, sizeof(line), "%s --%s%s", command->name, o->name,
                     option_takes_value(o) ? "=5" : "");
            snprintf(message, sizeof(message), "\"%s\" takes no option --%s", command->name, o->name);
            refuse(line, message);
        }
    }
    refuse("status -f x", "\"status\" takes no option --file");
}

/* The command line of run is one of plan too: what a script will run can be looked at before. */
static void
test_plan_takes_the_options_of_run(void **state)
{
    const struct option_spec *o;

    (void)state;
    for (size_t n = 0; (o = cli_option(n)) != NULL; n++)
        if ((o->commands & FOR_RUN) != 0 && (o->commands & FOR_PLAN) == 0)
            fail_msg("plan takes no option --%s", o->name);
}

static void
test_a_value_is_needed(void **state)
{
    (void)state;
    refuse("run --sql", "option \"--sql\" needs a value");
    refuse("run -f", "option \"-f\" needs a value");
    refuse("run --no-such-option", "there is no option \"--no-such-option\"");
    refuse("run -x", "there is no option \"-x\"");
}

static void
hints(const char *line, const char *hint)
{
    struct cli_options options;
    struct error err = {0};

    assert_false(parse(line, &options, &err));
    if (hint == NULL)
        assert_null(err.hint);
    else
        assert_string_equal(err.hint, hint);
    error_clear(&err);
    cli_options_free(&options);
}

static void
test_what_may_have_been_meant(void **state)
{
    struct error err = {0};

    (void)state;
    hints("run --lock-timout=5s", "Did you mean --lock-timeout? See: pgrecast run --help");
    hints("run --rollback-widnow=5s", "Did you mean --rollback-window? See: pgrecast run --help");
    hints("run --something-else", NULL);
    hints("run -x", NULL);
    hints("run --wait", "It belongs to: cutover.");
    hints("status --sql=x", "It belongs to: plan, run.");
    assert_null(cli_find_command("rollbakc", &err));
    assert_string_equal(err.hint, "Did you mean rollback? See: pgrecast --help");
    assert_null(cli_find_command("x", &err));
    assert_string_equal(err.hint, "See: pgrecast --help");
    assert_null(cli_find_command("a-word-that-is-much-longer-than-any-command-could-be", &err));
    assert_string_equal(err.hint, "See: pgrecast --help");
    error_clear(&err);
}

#define SIXTY "123456789012345678901234567890123456789012345678901234567890"

static void
test_names(void **state)
{
    struct cli_options o;

    (void)state;
    accept("run --job=" SIXTY "123", &o);
    cli_options_free(&o);
    refuse("run --job=" SIXTY "1234", "--job: the name \"" SIXTY "1234\" is longer than 63 bytes");
    refuse("run --job=", "--job: a name cannot be empty");
    refuse("run --job=a\nb", "--job: the name has a control character");
    refuse("resume ", "resume: a name cannot be empty");
    refuse("run --state-owner=", "--state-owner: a name cannot be empty");
    accept("abort " SIXTY "1234", &o); /* a job that an older version has made */
    cli_options_free(&o);
}

static void
test_names_may_be_cut_short(void **state)
{
    struct cli_options o;

    (void)state;
    accept("run --exit=sync --chunk 8kB", &o);
    assert_int_equal(o.job.exit, EXIT_IN_SYNC);
    assert_int_equal(o.job.chunk_bytes, 8192);
    cli_options_free(&o);
    accept("rollback j --reverse a=b --spool /s", &o); /* of names that stand in the tables twice */
    assert_int_equal(o.job.plan.reverse_map_count, 1);
    assert_string_equal(o.job.spool_directory, "/s");
    cli_options_free(&o);
    refuse("run --re=1", "there is no option \"--re=1\"");
    refuse("status --exit=sync", "\"status\" takes no option --exit-after");
}

static void
test_operands(void **state)
{
    struct cli_options o;

    (void)state;
    accept("status", &o);
    assert_null(o.job.name);
    cli_options_free(&o);
    accept("completion zsh", &o);
    assert_int_equal(o.shell, SHELL_ZSH);
    cli_options_free(&o);
    accept("abort --help", &o);
    assert_true(o.help);
    cli_options_free(&o);
    refuse("abort", "name the job");
    refuse("run unexpected", "unexpected argument \"unexpected\"");
    refuse("status a b", "unexpected argument \"b\"");
    refuse("completion", "name the shell: bash or zsh");
    refuse("completion fish", "completion: \"fish\" is not one of: bash zsh");
}

/* As the database has them of jobs that an earlier version began. */
static const char stored[] =
    "{\"exit\": 1, \"hold\": true, \"verify\": false, \"workers\": 4, \"window_s\": -1, \"chunk_bytes\": "
    "8388608, "
    "\"keep_original\": true, \"lock_timeout_ms\": 250, \"start_timeout_s\": 30, \"cutover_attempts\": 7}";

static void
test_stored_options_are_read(void **state)
{
    struct job_options o = {.reconnect_s = 5, .progress = PROGRESS_LINE};
    struct error err = {0};

    (void)state;
    assert_ok(options_read(&job_option_table, &o, stored, &err), &err);
    assert_int_equal(o.exit, EXIT_IN_SYNC);
    assert_true(o.hold);
    assert_false(o.verify);
    assert_int_equal(o.workers, 4);
    assert_true(o.window_s == WINDOW_UNTIL_FINISH);
    assert_int_equal(o.chunk_bytes, 8388608);
    assert_true(o.keep_original);
    assert_int_equal(o.lock_timeout_ms, 250);
    assert_int_equal(o.start_timeout_s, 30);
    assert_int_equal(o.cutover_attempts, 7);
    assert_int_equal(o.reconnect_s, 5);
    assert_int_equal(o.progress, PROGRESS_LINE);
}

static void
test_stored_options_round_trip(void **state)
{
    struct job_options o = {0}, again = {0};
    struct error err = {0};
    json_t *expected = json_loads(stored, 0, NULL), *got;
    char *text, *second;

    (void)state;
    assert_ok(options_read(&job_option_table, &o, stored, &err), &err);
    text = options_write(&job_option_table, &o);
    got = json_loads(text, 0, NULL);
    assert_true(json_equal(expected, got));
    assert_ok(options_read(&job_option_table, &again, text, &err), &err);
    second = options_write(&job_option_table, &again);
    assert_string_equal(text, second);
    json_decref(expected);
    json_decref(got);
    free(text);
    free(second);
}

/* What is read of the options with this one member: the value is JSON, or NULL to leave the member out. */
static bool
read_with(const char *member, const char *value, struct job_options *o, struct error *err)
{
    json_t *json = json_loads(stored, 0, NULL);
    char *text;
    bool ok;

    if (value != NULL)
        json_object_set_new(json, member, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(json, member);
    text = json_dumps(json, 0);
    ok = options_read(&job_option_table, o, text, err);
    free(text);
    json_decref(json);
    return ok;
}

/* The message is "options.MEMBER what", perhaps with more behind it. */
static void
refuse_stored(const char *member, const char *value, const char *what)
{
    struct job_options o, before;
    struct error err = {0};

    memset(&o, 7, sizeof(o));
    memcpy(&before, &o, sizeof(o));
    assert_false(read_with(member, value, &o, &err));
    assert_error_begins(&err, "options.%s %s", member, what);
    assert_memory_equal(&o, &before, sizeof(o));
}

static void
test_stored_options_are_read_strictly(void **state)
{
    json_t *json = json_loads(stored, 0, NULL);
    struct job_options o = {0};
    struct error err = {0};

    (void)state;
    for (void *i = json_object_iter(json); i != NULL; i = json_object_iter_next(json, i)) {
        refuse_stored(json_object_iter_key(i), NULL, "is missing");
        refuse_stored(json_object_iter_key(i), "\"text\"", "is not");
        refuse_stored(json_object_iter_key(i), "null", "is not");
    }
    json_decref(json);
    refuse_stored("other", "1", "is unknown");
    refuse_stored("format", "1", "is unknown");
    refuse_stored("exit", "3", "is out of range");
    refuse_stored("exit", "-1", "is out of range");
    refuse_stored("workers", "0", "is out of range");
    refuse_stored("workers", "4294967300", "is out of range");
    refuse_stored("window_s", "-2", "is out of range");
    refuse_stored("hold", "1", "is not true or false");
    assert_ok(read_with("exit", "0", &o, &err), &err); /* the default, which no word of a choice is */
    assert_false(options_read(&job_option_table, &o, "[]", &err));
    assert_error(&err, "options is not an object");
    assert_false(options_read(&job_option_table, &o, "{", &err));
    assert_error_begins(&err, "options is not JSON");
}

/* All that a function prints. */
static char *
printed(void (*print)(const void *what, FILE *out), const void *what)
{
    char *text = NULL, *copy;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    print(what, out);
    fclose(out);
    copy = mem_strdup(text);
    free(text);
    return copy;
}

static void
print_help(const void *command, FILE *out)
{
    cli_print_help(command, out);
}

static void
print_completion(const void *shell, FILE *out)
{
    cli_print_completion(*(const enum shell *)shell, out);
}

/* How often "BEFORE--NAME" stands in the text with one of some characters behind it. */
static int
count_names(const char *text, const char *before, const char *name, const char *behind)
{
    char *sought = mem_printf("%s--%s", before, name);
    int count = 0;

    for (const char *at = text; (at = strstr(at, sought)) != NULL; at += strlen(sought))
        count += strchr(behind, at[strlen(sought)]) != NULL;
    free(sought);
    return count;
}

/* How often the option stands in what is printed of one command. */
typedef int counter(const char *text, const struct option_spec *o);

static int
count_in_help(const char *text, const struct option_spec *o)
{
    char *before = o->letter != 0 ? mem_printf("\n  -%c, ", o->letter) : mem_printf("\n      ");
    int count = count_names(text, before, o->name, "= \n");

    free(before);
    return count;
}

static int
count_in_bash(const char *text, const struct option_spec *o)
{
    return count_names(text, "'", o->name, "=' ") + count_names(text, " ", o->name, "=' ");
}

static int
count_in_zsh(const char *text, const struct option_spec *o)
{
    return count_names(text, "'", o->name, "=[") + count_names(text, "'*", o->name, "=[") +
           count_names(text, ",", o->name, "=}");
}

/* Every option that the command takes, once, and no other. */
static void
check_names(const struct command *command, const char *text, counter *count)
{
    const struct option_spec *o, *same;

    for (size_t n = 0; (o = cli_option(n)) != NULL; n++) {
        int expected = 0;

        for (size_t k = 0; (same = cli_option(k)) != NULL; k++)
            expected += strcmp(same->name, o->name) == 0 && (same->commands & command->bit) != 0;
        if (count(text, o) != expected)
            fail_msg("%s: --%s stands %d times, expected %d in: %s", command->name, o->name, count(text, o),
                     expected, text);
    }
}

static void
test_help_mentions_every_option(void **state)
{
    const struct command *command;

    (void)state;
    for (size_t n = 0; (command = cli_command(n)) != NULL; n++) {
        char *text = printed(print_help, command);

        check_names(command, text, count_in_help);
        free(text);
    }
}

static void
test_help_tells_defaults(void **state)
{
    char *text = printed(print_help, find_command("run"));

    (void)state;
    assert_non_null(strstr(text,
                           "--chunk-size=SIZE    bytes that a transaction of the copy reads at first; it "
                           "adapts (8MB)\n"));
    assert_non_null(strstr(text, "--lock-timeout=TIME  longest wait for the lock of the cutover (100ms)\n"));
    assert_non_null(strstr(text, "--cutover-attempts=N number of attempts to get that lock (60)\n"));
    assert_non_null(strstr(text, "--start-timeout=TIME longest wait for transactions that are open at the "
                                 "start (10min)\n"));
    assert_non_null(
        strstr(text, "--cutover=auto|hold  hold: stay in sync until `pgrecast cutover JOB` (auto)\n"));
    assert_non_null(strstr(
        text, "--exit-after=sync|cutover  end the program in sync, or after the cutover; continue with\n"));
    assert_non_null(strstr(text, "(until `finish`)\n"));
    assert_non_null(strstr(text, "--no-verify          do not compare the two tables before the cutover\n"));
    free(text);
}

/* What the script says of the command: from the first text, with the command's name in it, to the second. */
static void
check_script(enum shell shell, const char *from, const char *to, counter *count)
{
    char *script = printed(print_completion, &shell);
    const struct command *command;

    for (size_t n = 0; (command = cli_command(n)) != NULL; n++) {
        char *begins = mem_printf(from, command->name), *at = strstr(script, begins), *part;

        assert_non_null(at);
        part = mem_strndup(at, (size_t)(strstr(at, to) - at));
        check_names(command, part, count);
        free(part);
        free(begins);
    }
    free(script);
}

static void
test_completion_lists_every_option_once(void **state)
{
    (void)state;
    check_script(SHELL_BASH, "\n    %s) options=", ";;", count_in_bash);
    check_script(SHELL_ZSH, "\n    %s)\n        _arguments", ";;", count_in_zsh);
}

static void
test_completion_knows_words_and_letters(void **state)
{
    enum shell bash = SHELL_BASH, zsh = SHELL_ZSH;
    char *in_bash = printed(print_completion, &bash), *in_zsh = printed(print_completion, &zsh);
    const struct option_spec *o;

    (void)state;
    for (size_t n = 0; (o = cli_option(n)) != NULL; n++) {
        struct buffer words = {0};

        if (o->kind != OPTION_CHOICE)
            continue;
        option_add_choices(o, " ", &words);
        assert_non_null(strstr(in_bash, words.data));
        assert_non_null(strstr(in_zsh, words.data));
        buffer_free(&words);
    }
    assert_non_null(strstr(in_bash, "\n    --file | -f) "));
    assert_non_null(strstr(in_zsh, "'(-f --file)'{-f+,--file=}'["));
    free(in_bash);
    free(in_zsh);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_tables_are_sound),
        cmocka_unit_test(test_each_command_has_a_bit),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_a_bare_number_is_refused),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_flags_and_texts),
        cmocka_unit_test(test_texts_that_are_repeated),
        cmocka_unit_test(test_an_option_of_another_command_is_refused),
        cmocka_unit_test(test_plan_takes_the_options_of_run),
        cmocka_unit_test(test_a_value_is_needed),
        cmocka_unit_test(test_names_may_be_cut_short),
        cmocka_unit_test(test_operands),
        cmocka_unit_test(test_stored_options_are_read),
        cmocka_unit_test(test_stored_options_round_trip),
        cmocka_unit_test(test_stored_options_are_read_strictly),
        cmocka_unit_test(test_what_may_have_been_meant),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_help_mentions_every_option),
        cmocka_unit_test(test_help_tells_defaults),
        cmocka_unit_test(test_completion_lists_every_option_once),
        cmocka_unit_test(test_completion_knows_words_and_letters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
