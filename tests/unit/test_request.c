/* Asking a job that another process runs (src/job/request.c, src/state), with a scripted server. */
#include "fake_sql.h"

#include <string.h>

#include "core/command.h"
#include "core/log.h"
#include "fake_clock.h"
#include "job/job.h"

/* As command_expand() reads it. */
#define COMMAND_OF(words, job) "pgrecast " words COMMAND_OPEN job COMMAND_CLOSE

#define JOB_COLUMNS                                                                                          \
    "id|name|phase|schema_name|table_name|sql|stream_id|system_identifier|timeline|slot_name|"               \
    "publication_name|back_publication_name|spool_directory|host|start_lsn|barrier_lsn|exact_lsn|plan|"      \
    "options|settings|instance|swaps|ended|x0|shadow_complete|swap_xid|swap_lsn|published|held|"             \
    "held_changes|held_for_good|window_seconds|window_ends|mismatches|database_oid|here"
#define JOB_ROW(swaps)                                                                                       \
    "7|t|reverse|public|t|\\N|3|71|1|slot|pub|pub_back|/spool|here|0/1|0/2|0/3|{}|{}|{}|4|" swaps            \
    "|f|90|t|91|0/4|\\N|\\N|\\N|f|\\N|\\N|0|5|t"
#define TABLE_COLUMNS                                                                                        \
    "schema_name|table_name|source_oid|shadow_oid|fingerprint|copied_filenode|active_fingerprint|"           \
    "definition|active_definition|other_fingerprint|other_definition|other_versions|"                        \
    "applied_lsn"

/* clang-format off */
#define TRUSTED                                                                                              \
    {"control", "SET synchronous_commit = local", .whole = true},                                            \
    {"control", "SELECT current_user AS role", .columns = "role|there", .rows = {"app|f"}},                   \
    {"control", "-- What in schema pgrecast", .params = {"app", FAKE_ANY_TEXT}, .columns = "object|what|owner"},             \
    {"control", "-- What is in schema pgrecast", .columns = "current|jobs|there", .rows = {"t|t|t"}},         \
    {"control", "SELECT version FROM pgrecast.format", .columns = "version", .rows = {"4"}}
#define READ(swaps)                                                                                          \
    {"control", "SELECT format FROM pgrecast.job", .params = {"t"}, .columns = "format", .rows = {"4"}},      \
    {"control", "-- All that is known of one job", .params = {"t"}, .columns = JOB_COLUMNS,                   \
     .rows = {JOB_ROW(swaps)}},                                                                              \
    {"control", "-- The tables of a job", .params = {"7"}, .columns = TABLE_COLUMNS,                          \
     .rows = {"public|t|16400|16401|a.b|5|c.d|{}|{}|e.f|{}|w|0/5"}}
#define RUNNING(how)                                                                                         \
    {"control", "-- Whether an instance holds", .columns = "taken|ready|begins|recent", .rows = {how}}
/* The same, and then some time passes: so much that an instance that is gone does not come back. */
#define LATER(how)                                                                                                 \
    {"control", "-- Whether an instance holds", .columns = "taken|ready|begins|recent", .rows = {how}, .meanwhile = pass_time}
#define NOBODY RUNNING("f|f|f|f") /* asked again after 200 ms, for two seconds */
#define GONE LATER("f|f|f|f")
#define ASKED(kind)                                                                                          \
    {"control", "-- Ask job", .params = {"7", kind, FAKE_NULL}, .columns = "id", .rows = {"12"}}
/* Its own request, and no other. */
#define BECAME(...)                                                                                          \
    {"control", "-- What became of request", .params = {"12"},                                               \
     .columns = "outcome|ended|taken|exit_status|message|detail|hint|result|job_ended", .rows = {__VA_ARGS__}}
#define PENDING BECAME("\\N|f|f|\\N|\\N|\\N|\\N|\\N|f")
#define TAKEN BECAME("\\N|f|t|\\N|\\N|\\N|\\N|\\N|f")
#define WITHDRAWN {"control", "-- Whoever asked waits no longer", .params = {"12", "withdrawn"}}
#define OPENED(swaps) TRUSTED, READ(swaps)
/* clang-format on */

static void
pass_time(void)
{
    fake_clock_advance(2000);
}

static bool
verify(const struct fake_step *steps, size_t count, struct state_verification *v, struct error *err)
{
    struct fake_sql fake = {0};
    struct state_access access = {0};
    bool ok;

    fake_clock_reset();
    fake_sql_start(&fake, steps, count);
    access.connection = &fake.connection;
    ok = job_request_verify(&access, "t", v, err);
    fake_sql_finish(&fake);
    return ok;
}

#define VERIFY(steps, v, err) verify(steps, sizeof(steps) / sizeof((steps)[0]), v, err)

/* It waits for its own row, however long that takes, and reads the figures there. */
static void
test_done(void **state)
{
    static const struct fake_step steps[] = {OPENED("1"),
                                             RUNNING("t|t|f|f"),
                                             RUNNING("t|t|f|f"),
                                             ASKED("verify"),
                                             PENDING,
                                             RUNNING("t|t|f|f"),
                                             TAKEN,
                                             RUNNING("t|t|f|f"),
                                             BECAME("done|t|t|\\N|\\N|\\N|\\N|{\"lsn\": \"0/10\", \"rows\": "
                                                    "5, \"mismatches\": 0, \"hash\": \"ab\"}|f")};
    struct state_verification v = {0};
    struct error err = {0};

    (void)state;
    assert_ok(VERIFY(steps, &v, &err), &err);
    assert_int_equal(v.lsn, 16);
    assert_int_equal(v.rows, 5);
    assert_int_equal(v.mismatches, 0);
    assert_string_equal(v.hash, "ab");
}

/* The reason is the whole of what the instance wrote, with the exit status that it says. */
static void
test_refused(void **state)
{
    static const struct fake_step steps[] = {
        OPENED("1"), RUNNING("t|t|f|f"), RUNNING("t|t|f|f"), ASKED("verify"),
        BECAME("failed|t|t|4|parity failed: 1 key differs|missing in t: (1)|Look.|\\N|f")};
    struct state_verification v = {0};
    struct error err = {0};

    (void)state;
    assert_false(VERIFY(steps, &v, &err));
    assert_int_equal(err.kind, ERROR_PARITY);
    assert_string_equal(err.message, "parity failed: 1 key differs");
    assert_string_equal(err.detail, "missing in t: (1)");
    assert_string_equal(err.hint, "Look.");
    error_clear(&err);
}

/* The instance is gone: the request is withdrawn, so that no later one carries it out. */
static void
test_instance_ends(void **state)
{
    static const struct fake_step steps[] = {OPENED("1"),
                                             RUNNING("t|t|f|f"),
                                             RUNNING("t|t|f|f"),
                                             ASKED("verify"),
                                             TAKEN,
                                             GONE,
                                             WITHDRAWN,
                                             BECAME("withdrawn|t|t|\\N|\\N|\\N|\\N|\\N|f")};
    struct state_verification v = {0};
    struct error err = {0};

    (void)state;
    assert_false(VERIFY(steps, &v, &err));
    assert_string_equal(err.hint, "Run: " COMMAND_OF("resume", "t") "; then ask again.");
    assert_error(&err, "the instance that ran job \"t\" has ended without this verification");
}

/* It has lost its connection, and has the job again in a moment: it answers. */
static void
test_instance_comes_back(void **state)
{
    static const struct fake_step steps[] = {OPENED("1"),
                                             RUNNING("t|t|f|f"),
                                             RUNNING("t|t|f|f"),
                                             ASKED("verify"),
                                             TAKEN,
                                             RUNNING("f|f|f|f"),
                                             TAKEN,
                                             RUNNING("t|t|f|f"),
                                             BECAME("done|t|t|\\N|\\N|\\N|\\N|{\"lsn\": \"0/10\", \"rows\": "
                                                    "5, \"mismatches\": 0, \"hash\": \"ab\"}|f")};
    struct state_verification v = {0};
    struct error err = {0};

    (void)state;
    assert_ok(VERIFY(steps, &v, &err), &err);
    assert_int_equal(v.rows, 5);
}

/* It was carried out between the last look and the withdrawal: the answer counts. */
static void
test_carried_out_before_the_withdrawal(void **state)
{
    static const struct fake_step steps[] = {OPENED("1"),
                                             RUNNING("t|t|f|f"),
                                             RUNNING("t|t|f|f"),
                                             ASKED("verify"),
                                             TAKEN,
                                             GONE,
                                             WITHDRAWN,
                                             BECAME("done|t|t|\\N|\\N|\\N|\\N|{\"lsn\": \"0/10\", \"rows\": "
                                                    "5, \"mismatches\": 0, \"hash\": \"ab\"}|f")};
    struct state_verification v = {0};
    struct error err = {0};

    (void)state;
    assert_ok(VERIFY(steps, &v, &err), &err);
    assert_int_equal(v.rows, 5);
}

static void
much_later(void)
{
    fake_clock_advance(61000);
}

/* An instance that has the job and takes nothing: whoever asks is told so after a minute. */
static void
test_not_taken(void **state)
{
    static const struct fake_step steps[] = {OPENED("1"),
                                             RUNNING("t|t|f|f"),
                                             RUNNING("t|t|f|f"),
                                             ASKED("verify"),
                                             PENDING,
                                             {"control", "-- Whether an instance holds",
                                              .columns = "taken|ready|begins|recent", .rows = {"t|t|f|f"},
                                              .meanwhile = much_later},
                                             PENDING,
                                             RUNNING("t|t|f|f"),
                                             WITHDRAWN,
                                             BECAME("withdrawn|t|f|\\N|\\N|\\N|\\N|\\N|f")};
    struct state_verification v = {0};
    struct error err = {0};

    (void)state;
    assert_false(VERIFY(steps, &v, &err));
    assert_string_equal(err.detail, "It ran on host here.");
    assert_string_equal(err.hint, "Look at it with: " COMMAND_OF("status", "t"));
    assert_error(&err,
                 "the instance that runs job \"t\" has not taken the request within 60 s: it is withdrawn");
}

/* No process has connected to become the instance: the answer comes at once, after a moment for one that was just started. */
static void
test_nobody_runs_the_job(void **state)
{
    static const struct fake_step steps[] = {OPENED("1"), NOBODY, NOBODY, NOBODY, NOBODY, NOBODY,
                                             NOBODY,      NOBODY, NOBODY, NOBODY, NOBODY, NOBODY};
    struct state_verification v = {0};
    struct error err = {0};

    (void)state;
    assert_false(VERIFY(steps, &v, &err));
    assert_error(&err, "no instance is running job \"t\" (it is in phase reverse)");
}

/* An instance ran a moment ago. It may have lost its connection, and have a new one soon. */
static void
test_an_instance_ran_a_moment_ago(void **state)
{
    static const struct fake_step steps[] = {OPENED("1"),
                                             LATER("f|f|f|t"),
                                             LATER("f|f|f|t"),
                                             RUNNING("t|t|t|t"),
                                             RUNNING("t|t|t|t"),
                                             ASKED("verify"),
                                             BECAME("done|t|t|\\N|\\N|\\N|\\N|{\"lsn\": \"0/10\", \"rows\": "
                                                    "5, \"mismatches\": 0, \"hash\": \"ab\"}|f")};
    struct state_verification v = {0};
    struct error err = {0};

    (void)state;
    assert_ok(VERIFY(steps, &v, &err), &err);
    assert_int_equal(v.rows, 5);
}

/* `resume &`, then a request: the instance has connected, and has the request as soon as it reads requests. */
static void
test_an_instance_is_started(void **state)
{
    static const struct fake_step steps[] = {OPENED("1"),
                                             RUNNING("f|f|f|f"),
                                             LATER("f|f|t|f"),
                                             LATER("f|f|t|f"),
                                             RUNNING("t|f|t|f"),
                                             RUNNING("t|t|t|f"),
                                             RUNNING("t|t|t|f"),
                                             ASKED("verify"),
                                             BECAME("done|t|t|\\N|\\N|\\N|\\N|{\"lsn\": \"0/10\", \"rows\": "
                                                    "5, \"mismatches\": 0, \"hash\": \"ab\"}|f")};
    struct state_verification v = {0};
    struct error err = {0};

    (void)state;
    assert_ok(VERIFY(steps, &v, &err), &err);
    assert_int_equal(v.rows, 5);
}

/* It has connected, and ends without the job. */
static void
test_an_instance_fails_to_begin(void **state)
{
    static const struct fake_step steps[] = {OPENED("1"), LATER("f|f|t|f"), RUNNING("f|f|f|f")};
    struct state_verification v = {0};
    struct error err = {0};

    (void)state;
    assert_false(VERIFY(steps, &v, &err));
    assert_error(&err, "no instance is running job \"t\" (it is in phase reverse)");
}

/* A new instance holds the job, but does not read requests yet: nothing is asked before it does. */
static void
test_an_instance_begins(void **state)
{
    static const struct fake_step steps[] = {OPENED("1"),
                                             RUNNING("t|f|f|f"),
                                             RUNNING("t|f|f|f"),
                                             RUNNING("t|t|f|f"),
                                             RUNNING("t|t|f|f"),
                                             ASKED("verify"),
                                             BECAME("not_taken|t|f|\\N|\\N|\\N|\\N|\\N|f")};
    struct state_verification v = {0};
    struct error err = {0};

    (void)state;
    assert_false(VERIFY(steps, &v, &err));
    assert_error(&err, "the instance that ran job \"t\" has ended without this verification");
}

/* What is in the schema is looked at before anything of it is read. */
static void
test_state_is_not_trusted(void **state)
{
    static const struct fake_step steps[] = {
        {"control", "SET synchronous_commit = local", .whole = true},
        {"control", "SELECT current_user AS role", .columns = "role|there", .rows = {"app|f"}},
        {"control", "-- What in schema pgrecast", .columns = "object|what|owner",
         .rows = {"schema pgrecast|belongs to role mallory|mallory",
                  "trigger t on pgrecast.job|is not of pgrecast|\\N"}}};
    struct state_verification v = {0};
    struct error err = {0};

    (void)state;
    assert_false(VERIFY(steps, &v, &err));
    assert_int_equal(err.kind, ERROR_REFUSED);
    assert_string_equal(err.message, "schema pgrecast is not to be trusted: it is not role \"app\"'s alone");
    assert_string_equal(err.detail, "schema pgrecast belongs to role mallory\n"
                                    "trigger t on pgrecast.job is not of pgrecast");
    assert_non_null(strstr(err.hint, "--state-owner=mallory"));
    error_clear(&err);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_done),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_instance_ends),
        cmocka_unit_test(test_instance_comes_back),
        cmocka_unit_test(test_carried_out_before_the_withdrawal),
        cmocka_unit_test(test_not_taken),
        cmocka_unit_test(test_nobody_runs_the_job),
        cmocka_unit_test(test_an_instance_is_started),
        cmocka_unit_test(test_an_instance_ran_a_moment_ago),
        cmocka_unit_test(test_an_instance_fails_to_begin),
        cmocka_unit_test(test_an_instance_begins),
        cmocka_unit_test(test_state_is_not_trusted),
    };

    log_configure(LOG_TEXT, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
