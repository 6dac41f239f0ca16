/* Statements in one round trip (src/pg/pipeline.c), and what becomes of them where one fails. */
#include "fake_sql.h"

#include <string.h>

#include "core/clock.h"
#include "pg/pipeline.h"

static const char *const statements[] = {"SELECT 1", "SELECT 2", "SELECT 3", "SELECT 4"};

static void
add_statements(struct pipeline *p)
{
    for (int i = 0; i < 4; i++)
        pipeline_add(p, statements[i]);
}

static void
test_results_by_number(void **state)
{
    static const struct fake_step steps[] = {
        {"unit", "SELECT 1", .columns = "a", .rows = {"one"}},
        {NULL, "p", .params = {"x", FAKE_NULL}, .columns = "a|b", .rows = {"1|2", "3|4"}},
        {NULL, "UPDATE t", .params = {FAKE_NULL}, .tag = "UPDATE 3"},
    };
    static const char *const none[] = {NULL};
    struct fake_sql fake = {0};
    struct pipeline p = {0};
    struct error err = {0};
    struct session *s;

    (void)state;
    FAKE_SQL_START(&fake, steps);
    s = fake_sql_session(&fake, "unit");
    assert_ok(session_prepare(s, &err, "p", "SELECT $1, $2"), &err);
    pipeline_add(&p, "SELECT 1");
    pipeline_add_prepared(&p, "p", 2, "x", (const char *)NULL);
    pipeline_add_params(&p, "UPDATE t SET a = $1", 1, none);
    assert_ok(pipeline_run(s, &p, &err), &err);
    assert_int_equal(p.failed, -1);
    assert_string_equal(row_text(pipeline_result(&p, 0), 0, "a"), "one");
    assert_int_equal(row_int(pipeline_result(&p, 1), 1, "b"), 4);
    assert_int_equal(result_affected(pipeline_result(&p, 2)), 3);
    pipeline_free(&p);
    session_close(s);
    fake_sql_finish(&fake);
}

/* What comes before it has its results, what comes behind it is not run, and the session goes on. */
static void
test_an_error_in_the_middle(void **state)
{
    static const struct fake_step steps[] = {
        {"unit", "BEGIN"},
        {NULL, "SELECT 1", .columns = "a", .rows = {"1"}},
        {NULL, "SELECT 2", .columns = "a", .rows = {"2"}},
        {NULL, "SELECT 3", .error = "23505", .message = "duplicate key", .detail = "Key (a)=(1) exists."},
        {NULL, "ROLLBACK"},
        {NULL, "SELECT 5", .columns = "a", .rows = {"5"}},
    };
    struct fake_sql fake = {0};
    struct pipeline p = {0};
    struct error err = {0};
    struct session *s;

    (void)state;
    FAKE_SQL_START(&fake, steps);
    s = fake_sql_session(&fake, "unit");
    assert_ok(session_execute(s, &err, "BEGIN"), &err);
    add_statements(&p);
    assert_false(pipeline_run(s, &p, &err));
    assert_int_equal(p.failed, 2);
    assert_int_equal(row_int(pipeline_result(&p, 0), 0, "a"), 1);
    assert_int_equal(row_int(pipeline_result(&p, 1), 0, "a"), 2);
    assert_int_equal(result_rows(pipeline_result(&p, 3)), 0);
    assert_string_equal(err.sqlstate, "23505");
    assert_string_equal(err.detail, "Key (a)=(1) exists.");
    assert_false(err.connection_lost || err.stopped);
    assert_error(&err, "SELECT 3: duplicate key");
    pipeline_free(&p);
    assert_int_equal(PQtransactionStatus(session_conn(s)), PQTRANS_INERROR);
    session_rollback(s);
    assert_ok(session_query(s, NULL, &err, "SELECT 5", 0), &err);
    session_close(s);
    fake_sql_finish(&fake);
}

static void
expect_lost(const struct fake_step *steps, size_t count, int failed, const char *message)
{
    struct fake_sql fake = {0};
    struct pipeline p = {0};
    struct error err = {0};
    struct session *s;

    fake_sql_start(&fake, steps, count);
    s = fake_sql_session(&fake, "unit");
    add_statements(&p);
    assert_false(pipeline_run(s, &p, &err));
    assert_true(err.connection_lost);
    assert_int_equal(p.failed, failed);
    if (message != NULL)
        assert_string_equal(err.message, message);
    error_clear(&err);
    pipeline_free(&p);
    session_close(s);
    fake_sql_finish(&fake);
}

static void
test_a_lost_connection(void **state)
{
    static const struct fake_step closed[] = {
        {"unit", "SELECT 1", .columns = "a", .rows = {"1"}},
        {NULL, "SELECT 2", .end = FAKE_LOST_BEFORE},
    };
    static const struct fake_step terminated[] = {
        {"unit", "SELECT 1", .columns = "a", .rows = {"1"}},
        {NULL, "SELECT 2", .severity = "FATAL", .error = "57P01",
         .message = "terminating connection due to administrator command"},
    };

    (void)state;
    expect_lost(closed, 2, -1, FAKE_LOST_MESSAGE);
    expect_lost(terminated, 2, 1, NULL); /* its reason is lost: test_gaps.c */
}

static void
test_cancelled_by_the_deadline(void **state)
{
    static const struct fake_step steps[] = {
        {"unit", "SELECT 1", .columns = "a", .rows = {"1"}},
        {NULL, "SELECT 2", .wait = true},
        {NULL, "SELECT 5", .columns = "a", .rows = {"5"}},
    };
    struct fake_sql fake = {0};
    struct pipeline p = {0};
    struct error err = {0};
    struct session *s;

    (void)state;
    FAKE_SQL_START(&fake, steps);
    s = fake_sql_session(&fake, "unit");
    add_statements(&p);
    session_set_deadline(s, clock_ms());
    assert_false(pipeline_run(s, &p, &err));
    assert_int_equal(p.failed, 1);
    assert_string_equal(err.sqlstate, "57014");
    assert_false(err.connection_lost || err.stopped);
    assert_error(&err, "SELECT 2: canceling statement due to user request");
    pipeline_free(&p);
    assert_ok(session_query(s, NULL, &err, "SELECT 5", 0), &err);
    session_close(s);
    fake_sql_finish(&fake);
    assert_int_equal(fake.cancels, 1);
}

/* What the server said first stays, though it closes the connection then. */
static void
test_reason_of_a_terminated_pipeline(void **state)
{
    static const struct fake_step steps[] = {
        {"unit", "SELECT 1", .severity = "FATAL", .error = "57P01", .message = "terminating connection"}};
    static const char *const pipeline[] = {"SELECT 1"};
    struct fake_sql fake = {0};
    struct error err = {0};
    struct session *s;

    (void)state;
    FAKE_SQL_START(&fake, steps);
    s = fake_sql_session(&fake, "unit");
    assert_false(session_pipeline(s, &err, pipeline, 1));
    session_close(s);
    fake_sql_finish(&fake);
    assert_true(err.connection_lost);
    assert_string_equal(err.sqlstate, "57P01");
    assert_string_equal(err.message, "SELECT 1: terminating connection");
    error_clear(&err);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reason_of_a_terminated_pipeline), cmocka_unit_test(test_results_by_number),
        cmocka_unit_test(test_an_error_in_the_middle),          cmocka_unit_test(test_a_lost_connection),
        cmocka_unit_test(test_cancelled_by_the_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
