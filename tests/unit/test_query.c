/* Statements of one session (src/pg/query.c): errors, cancelling, notices, and a server that goes away. */
#include "fake_sql.h"

#include <string.h>

#include "core/clock.h"
#include "core/stop.h"

static void
test_an_error_is_taken_whole(void **state)
{
    static const struct fake_step steps[] = {
        {"unit", "SELECT 1", .error = "22012", .message = "division by zero", .detail = "A detail.",
         .hint = "A hint."},
        {NULL, "SELECT 2", .columns = "a|b", .rows = {"2|\\N", "|x"}},
        {NULL, "UPDATE t", .tag = "UPDATE 17"},
    };
    struct fake_sql fake = {0};
    struct result res = {0};
    struct error err = {0};
    struct session *s;

    (void)state;
    FAKE_SQL_START(&fake, steps);
    s = fake_sql_session(&fake, "unit");
    assert_false(session_query(s, &res, &err, "SELECT 1", 0));
    assert_int_equal(err.kind, ERROR_FAILED);
    assert_string_equal(err.sqlstate, "22012");
    assert_string_equal(err.message, "division by zero");
    assert_string_equal(err.detail, "A detail.");
    assert_string_equal(err.hint, "A hint.");
    assert_false(err.connection_lost || err.stopped);
    assert_int_equal(result_rows(&res), 0);
    assert_ok(session_query(s, &res, &err, "SELECT 2", 0), &err);
    assert_int_equal(result_rows(&res), 2);
    assert_int_equal(row_int(&res, 0, "a"), 2);
    assert_null(row_text(&res, 0, "b"));
    assert_string_equal(row_text(&res, 1, "a"), "");
    assert_string_equal(row_text(&res, 1, "b"), "x");
    assert_ok(session_query(s, &res, &err, "UPDATE t SET a = 1", 0), &err);
    assert_int_equal(result_affected(&res), 17);
    result_free(&res);
    error_clear(&err);
    session_close(s);
    fake_sql_finish(&fake);
}

static void
test_one_row_is_one_row(void **state)
{
    static const struct fake_step steps[] = {
        {"unit", "SELECT none", .columns = "a"},
        {NULL, "SELECT two", .columns = "a", .rows = {"1", "2"}},
        {NULL, "SELECT one", .params = {"x", FAKE_NULL}, .columns = "a", .rows = {"1"}},
    };
    struct fake_sql fake = {0};
    struct result res = {0};
    struct error err = {0};
    struct session *s;

    (void)state;
    FAKE_SQL_START(&fake, steps);
    s = fake_sql_session(&fake, "unit");
    assert_false(session_row(s, &res, &err, "SELECT none", 0));
    assert_error(&err, "expected one row, got 0, from: SELECT none");
    assert_false(session_row(s, &res, &err, "SELECT two", 0));
    assert_error(&err, "expected one row, got 2, from: SELECT two");
    assert_ok(session_row(s, &res, &err, "SELECT one", 2, "x", (const char *)NULL), &err);
    result_free(&res);
    session_close(s);
    fake_sql_finish(&fake);
}

/* The server ends the session, or is gone. What is sent afterwards fails in the same way. */
static void
expect_lost(const struct fake_step *step, const char *message)
{
    struct fake_sql fake = {0};
    struct error err = {0};
    struct session *s;

    fake_sql_start(&fake, step, 1);
    s = fake_sql_session(&fake, "unit");
    assert_false(session_query(s, NULL, &err, "SELECT 1", 0));
    assert_true(err.connection_lost);
    assert_false(err.stopped);
    assert_error(&err, "%s", message);
    assert_false(session_query(s, NULL, &err, "SELECT 2", 0));
    assert_true(err.connection_lost);
    error_clear(&err);
    session_rollback(s);
    session_close(s);
    fake_sql_finish(&fake);
}

static void
test_a_lost_connection(void **state)
{
    static const struct fake_step closed = {"unit", "SELECT 1", .end = FAKE_LOST_BEFORE};
    static const struct fake_step terminated = {"unit", "SELECT 1", .severity = "FATAL", .error = "57P01",
                                                .message =
                                                    "terminating connection due to administrator command"};

    (void)state;
    expect_lost(&closed, FAKE_LOST_MESSAGE);
    expect_lost(&terminated, "terminating connection due to administrator command");
}

/* The answer has come, the connection goes: the next statement finds out. */
static void
test_lost_behind_the_answer(void **state)
{
    static const struct fake_step steps[] = {
        {"unit", "SELECT 1", .columns = "a", .rows = {"1"}, .end = FAKE_LOST_AFTER},
    };
    struct fake_sql fake = {0};
    struct result res = {0};
    struct error err = {0};
    struct session *s;

    (void)state;
    FAKE_SQL_START(&fake, steps);
    s = fake_sql_session(&fake, "unit");
    assert_ok(session_row(s, &res, &err, "SELECT 1", 0), &err);
    assert_string_equal(row_text(&res, 0, "a"), "1");
    assert_false(session_row(s, &res, &err, "SELECT 1", 0));
    assert_true(err.connection_lost);
    error_clear(&err);
    result_free(&res);
    session_close(s);
    fake_sql_finish(&fake);
}

/* Opening a session may also fail after the server has let it in. */
static void
test_opening_fails(void **state)
{
    static const struct fake_step steps[] = {
        {"unit", "SELECT pg_catalog.pg_backend_pid()", .error = "57P03", .message = "not yet"},
        {NULL, "SELECT pg_catalog.set_config('session_authorization'", .error = "42501",
         .message = "not you"},
        {NULL, "SELECT pg_catalog.textne(", .columns = "replica", .rows = {"f"}},
        {NULL, "SELECT pg_catalog.set_config('session_authorization'", .error = "42501",
         .message = "not you"},
        {NULL, "SELECT pg_catalog.textne(", .columns = "replica", .rows = {"t"}},
        {NULL, "SELECT pg_catalog.set_config('session_authorization'", .end = FAKE_LOST_BEFORE},
        {NULL, "SELECT pg_catalog.pg_backend_pid()", .columns = "pid", .rows = {"1"}},
    };
    static const struct expected {
        enum error_kind kind;
        bool lost;
        const char *sqlstate, *message;
    } expected[] = {
        {ERROR_FAILED, true, "57P03", "setting up the session: not yet"},
        {ERROR_FAILED, false, "42501", "setting up the session: not you"},
        {ERROR_REFUSED, false, "", "session_replication_role is not origin in the sessions of this role"},
        {ERROR_FAILED, true, "", "setting up the session: " FAKE_LOST_MESSAGE},
        {ERROR_REFUSED, false, "", "there is a connection pooler between pgrecast and the server"},
    };
    struct fake_sql fake = {0};
    struct error err = {0};

    (void)state;
    FAKE_SQL_START(&fake, steps);
    for (int i = 0; i < 5; i++) {
        assert_null(session_open(&fake.connection, SESSION_SQL, "unit", &err));
        assert_int_equal(err.kind, expected[i].kind);
        assert_int_equal(err.connection_lost, expected[i].lost);
        assert_string_equal(err.sqlstate, expected[i].sqlstate);
        assert_string_equal(err.message, expected[i].message);
        error_clear(&err);
    }
    fake_sql_finish(&fake);
}

/* What is under way at the deadline is cancelled, once, and the session goes on. */
static void
test_cancelled_by_the_deadline(void **state)
{
    static const struct fake_step steps[] = {
        {"unit", "SELECT pg_sleep", .wait = true},
        {NULL, "SELECT 1", .columns = "a", .rows = {"1"}},
        {NULL, "SELECT pg_sleep", .wait = true, .columns = "a", .rows = {"1"}},
    };
    struct fake_sql fake = {0};
    struct error err = {0};
    struct session *s;

    (void)state;
    FAKE_SQL_START(&fake, steps);
    s = fake_sql_session(&fake, "unit");
    session_set_deadline(s, clock_ms());
    assert_false(session_execute(s, &err, "SELECT pg_sleep(60)"));
    assert_string_equal(err.sqlstate, "57014");
    assert_false(err.stopped || err.connection_lost);
    assert_error(&err, "canceling statement due to user request");
    assert_ok(session_execute(s, &err, "SELECT 1"), &err);
    session_set_deadline(s, clock_ms()); /* the statement has ended when the request comes: it is no error */
    assert_ok(session_execute(s, &err, "SELECT pg_sleep(60)"), &err);
    session_close(s);
    fake_sql_finish(&fake);
    assert_int_equal(fake.cancels, 2);
}

static void
test_notices(void **state)
{
    static const struct fake_step steps[] = {
        {"unit", "SELECT 1", .notice = "not wanted"},
        {NULL, "SELECT 2", .notice = "first"},
        {NULL, "SELECT 3", .notice = "before an error", .error = "22012", .message = "no"},
        {NULL, "SELECT 4", .notice = "in a pipeline"},
        {NULL, "SELECT 5", .notice = "not wanted any more"},
    };
    static const char *const pipeline[] = {"SELECT 4"};
    struct buffer notices = {0};
    struct fake_sql fake = {0};
    struct error err = {0};
    struct session *s;

    (void)state;
    FAKE_SQL_START(&fake, steps);
    s = fake_sql_session(&fake, "unit");
    assert_ok(session_execute(s, &err, "SELECT 1"), &err);
    session_collect_notices(s, &notices);
    assert_ok(session_query(s, NULL, &err, "SELECT 2", 0), &err);
    assert_false(session_execute(s, &err, "SELECT 3"));
    assert_error(&err, "no");
    assert_ok(session_pipeline(s, &err, pipeline, 1), &err);
    session_collect_notices(s, NULL);
    assert_ok(session_execute(s, &err, "SELECT 5"), &err);
    assert_string_equal(notices.data, "first\nbefore an error\nin a pipeline\n");
    buffer_free(&notices);
    session_close(s);
    fake_sql_finish(&fake);
}

/* Prepared and planned once in the session's life. */
static void
test_prepared_once(void **state)
{
    static const struct fake_step steps[] = {
        {"unit", "SELECT FROM pg_catalog.pg_prepared_statements", .params = {"p"}, .columns = ""},
        {NULL, "SET plan_cache_mode = force_generic_plan", .whole = true},
        {NULL, "EXPLAIN EXECUTE p (NULL, NULL)", .whole = true},
        {NULL, "SELECT FROM pg_catalog.pg_prepared_statements", .params = {"p"}, .columns = "", .rows = {""}},
    };
    struct fake_sql fake = {.version = "17.2"};
    struct error err = {0};
    struct session *s;

    (void)state;
    FAKE_SQL_START(&fake, steps);
    s = fake_sql_session(&fake, "unit");
    assert_int_equal(session_version(s), 170002);
    assert_int_equal(session_major(s), 17);
    for (int i = 0; i < 2; i++)
        assert_ok(session_prepare(s, &err, "p", "SELECT $1, $2"), &err);
    session_close(s);
    fake_sql_finish(&fake);
}

/* The last one here: a stop request stays. It cancels what is under way once, and no clean-up. */
static void
test_stopped(void **state)
{
    static const struct fake_step steps[] = {
        {"unit", "BEGIN"},
        {NULL, "SELECT pg_sleep", .wait = true, .meanwhile = stop_request},
        {NULL, "ROLLBACK"},
    };
    struct fake_sql fake = {0};
    struct error err = {0};
    struct session *s;

    (void)state;
    FAKE_SQL_START(&fake, steps);
    s = fake_sql_session(&fake, "unit");
    assert_ok(session_execute(s, &err, "BEGIN"), &err);
    assert_false(session_execute(s, &err, "SELECT pg_sleep(60)"));
    assert_string_equal(err.sqlstate, "57014");
    assert_true(err.stopped);
    assert_false(err.connection_lost);
    error_clear(&err);
    session_rollback(s);
    assert_int_equal(PQtransactionStatus(session_conn(s)), PQTRANS_IDLE);
    session_close(s);
    fake_sql_finish(&fake);
    assert_int_equal(fake.cancels, 1);
}

/* What the server said first stays, though it closes the connection then. */
static void
test_reason_of_a_terminated_session(void **state)
{
    static const struct fake_step steps[] = {
        {"unit", "SELECT 1", .severity = "FATAL", .error = "57P01", .message = "terminating connection"}};
    struct fake_sql fake = {0};
    struct error err = {0};
    struct session *s;

    (void)state;
    FAKE_SQL_START(&fake, steps);
    s = fake_sql_session(&fake, "unit");
    assert_false(session_query(s, NULL, &err, "SELECT 1", 0));
    session_close(s);
    fake_sql_finish(&fake);
    assert_true(err.connection_lost);
    assert_string_equal(err.sqlstate, "57P01");
    error_clear(&err);
}

/* The server answers ROLLBACK to the COMMIT of a transaction that has failed: that is no success. */
static void
test_a_commit_commits(void **state)
{
    static const struct fake_step steps[] = {
        {"unit", "BEGIN"},
        {NULL, "SELECT 1"},
        {NULL, "COMMIT", .whole = true},
        {NULL, "BEGIN"},
        {NULL, "SELECT 1", .error = "22012", .message = "division by zero"},
        {NULL, "COMMIT", .whole = true},
    };
    struct fake_sql fake = {0};
    struct error err = {0};
    struct session *s;

    (void)state;
    FAKE_SQL_START(&fake, steps);
    s = fake_sql_session(&fake, "unit");
    assert_ok(session_execute(s, &err, "BEGIN") && session_execute(s, &err, "SELECT 1"), &err);
    assert_ok(session_commit(s, &err), &err);
    assert_ok(session_execute(s, &err, "BEGIN"), &err);
    assert_false(session_execute(s, &err, "SELECT 1"));
    error_clear(&err);
    assert_false(session_commit(s, &err));
    assert_error(&err, "the server rolled the transaction back at its commit");
    session_close(s);
    fake_sql_finish(&fake);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reason_of_a_terminated_session),
        cmocka_unit_test(test_an_error_is_taken_whole),
        cmocka_unit_test(test_one_row_is_one_row),
        cmocka_unit_test(test_a_commit_commits),
        cmocka_unit_test(test_a_lost_connection),
        cmocka_unit_test(test_lost_behind_the_answer),
        cmocka_unit_test(test_opening_fails),
        cmocka_unit_test(test_cancelled_by_the_deadline),
        cmocka_unit_test(test_notices),
        cmocka_unit_test(test_prepared_once),
        cmocka_unit_test(test_stopped),
    };

    stop_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
