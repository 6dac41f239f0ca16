/* The fake server itself: a test that relies on it must fail where the program does something else. */
#include "fake_sql.h"

#include <stdlib.h>

/* Statements that are not the next ones are refused with both texts, which are also reported at the end. */
static void
test_what_is_unexpected_fails(void **state)
{
    static const struct fake_step steps[] = {
        {"unit", "SELECT one", .columns = "n", .rows = {"1"}},
        {NULL, "SELECT two", .params = {"a", FAKE_NULL}},
        {NULL, "COMMIT", .whole = true},
        {"other", "SELECT one"},
    };
    struct fake_sql fake = {0};
    struct error err = {0};
    struct session *s;
    char *problems;

    (void)state;
    FAKE_SQL_START(&fake, steps);
    s = fake_sql_session(&fake, "unit");
    assert_false(session_execute(s, &err, "SELECT two"));
    assert_string_equal(err.message, "session \"unit\": expected \"SELECT one\", got \"SELECT two\"");
    assert_ok(session_execute(s, &err, "SELECT one FROM t"), &err);
    assert_false(session_query(s, NULL, &err, "SELECT two", 2, "a", "b"));
    assert_string_equal(err.message, "the script expects other parameters");
    assert_false(session_execute(s, &err, "COMMIT; SELECT 1"));
    assert_string_equal(err.message, "session \"unit\": expected \"COMMIT\", got \"COMMIT; SELECT 1\"");
    assert_ok(session_execute(s, &err, "COMMIT"), &err);
    assert_false(session_execute(s, &err, "COMMIT"));
    assert_string_equal(err.message, "session \"unit\": expected \"(nothing)\", got \"COMMIT\"");
    session_close(s);
    error_clear(&err);
    problems = fake_sql_end(&fake);
    assert_string_equal(problems, "session \"unit\": expected \"SELECT one\", got \"SELECT two\"\n"
                                  "parameter 2 of \"SELECT two\" was expected to be \"\\N\" and is \"b\"\n"
                                  "session \"unit\": expected \"COMMIT\", got \"COMMIT; SELECT 1\"\n"
                                  "session \"unit\": expected \"(nothing)\", got \"COMMIT\"\n"
                                  "session \"other\": \"SELECT one\" has come 0 times of 1\n");
    free(problems);
}

static void
test_a_step_may_come_more_than_once(void **state)
{
    static const struct fake_step steps[] = {
        {"unit", "SELECT a", .times = FAKE_ANY},
        {NULL, "SELECT b", .times = 2},
        {NULL, "SELECT c", .times = FAKE_ANY},
        {NULL, "SELECT d"},
    };
    static const char *const order[] = {"SELECT a", "SELECT a", "SELECT b", "SELECT b", "SELECT d"};
    struct fake_sql fake = {0};
    struct error err = {0};
    struct session *s;

    (void)state;
    FAKE_SQL_START(&fake, steps);
    s = fake_sql_session(&fake, "unit");
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        assert_ok(session_execute(s, &err, order[i]), &err);
    session_close(s);
    fake_sql_finish(&fake);
}

/* The status of the transaction is that of a server. */
static void
test_transaction_status(void **state)
{
    static const struct fake_step steps[] = {
        {"unit", "BEGIN; SET LOCAL x = 1"},
        {NULL, "SELECT 1", .error = "22012"},
        {NULL, "ROLLBACK"},
        {NULL, "BEGIN"},
        {NULL, "SELECT 1", .error = "22012"},
        {NULL, "COMMIT"},
    };
    struct fake_sql fake = {0};
    struct error err = {0};
    struct session *s;
    PGresult *res;

    (void)state;
    FAKE_SQL_START(&fake, steps);
    s = fake_sql_session(&fake, "unit");
    assert_ok(session_execute(s, &err, "BEGIN; SET LOCAL x = 1"), &err);
    assert_int_equal(PQtransactionStatus(session_conn(s)), PQTRANS_INTRANS);
    assert_false(session_query(s, NULL, &err, "SELECT 1", 0));
    assert_int_equal(PQtransactionStatus(session_conn(s)), PQTRANS_INERROR);
    assert_false(session_execute(s, &err, "SELECT 2"));
    assert_string_equal(err.sqlstate, "25P02");
    session_rollback(s);
    assert_int_equal(PQtransactionStatus(session_conn(s)), PQTRANS_IDLE);
    assert_ok(session_execute(s, &err, "BEGIN"), &err);
    assert_false(session_execute(s, &err, "SELECT 1"));
    res = PQexec(session_conn(s), "COMMIT");
    assert_int_equal(PQresultStatus(res), PGRES_COMMAND_OK);
    assert_string_equal(PQcmdStatus(res), "ROLLBACK");
    PQclear(res);
    error_clear(&err);
    session_close(s);
    fake_sql_finish(&fake);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_unexpected_fails),
        cmocka_unit_test(test_a_step_may_come_more_than_once),
        cmocka_unit_test(test_transaction_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
