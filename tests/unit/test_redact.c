/* Errors of rows lose what may be a value (src/pg/redact.c). */
#include "support.h"

#include <stdio.h>
#include <string.h>

#include "pg/redact.h"

static struct error
server_error(const char *sqlstate, const char *source, const char *message, const char *detail)
{
    struct error err = {0};

    error_set(&err, ERROR_FAILED, "%s", message);
    if (detail != NULL)
        error_detail(&err, "%s", detail);
    error_hint(&err, "a hint");
    memcpy(err.sqlstate, sqlstate, 6);
    snprintf(err.source, sizeof(err.source), "%s", source);
    return err;
}

static const struct {
    const char *sqlstate, *source;
    bool inside;
    const char *message, *detail;             /* as the server sends them */
    const char *shown_message, *shown_detail; /* what is left */
} redactions[] = {
    {"22P02", "numutils.c", false, "invalid input syntax for type integer: \"secret\"", NULL,
     "a value is not valid input for the type (SQLSTATE 22P02)", NULL},
    {"22004", "x.c", false, "secret", "secret", "data exception (SQLSTATE 22004)", NULL},
    {"0A000", "numeric.c", false, "cannot convert NaN to integer", NULL,
     "the server does not support this for a value (SQLSTATE 0A000)", NULL},
    /* a function may raise anything, with the SQLSTATE that it likes */
    {"P0001", "pl_exec.c", true, "the row secret is bad", "secret",
     "a function raised an exception (SQLSTATE P0001)", NULL},
    {"ZZ999", "pl_exec.c", true, "secret", "secret", "an expression failed (SQLSTATE ZZ999)", NULL},
    {"23514", "execPartition.c", false, "no partition of relation \"t\" found for row",
     "Partition key of the failing row contains (a) = (secret).",
     "no partition of relation \"t\" found for row", NULL},
    {"23514", "pl_exec.c", true, "secret", "secret", "a constraint is violated (SQLSTATE 23514)", NULL},
    {"54000", "pl_exec.c", true, "secret", "secret", "a limit of the server is exceeded (SQLSTATE 54000)",
     NULL},
    {"53100", "pl_exec.c", true, "secret", NULL, "the server is short of a resource (SQLSTATE 53100)", NULL},
    {"XX000", "pl_exec.c", true, "secret", NULL, "internal error of the server (SQLSTATE XX000)", NULL},
    {"42P01", "pl_exec.c", true, "secret", NULL,
     "a name or a privilege is missing, or an expression is wrong (SQLSTATE 42P01)", NULL},
    /* a statement that a function has made of a value */
    {"42703", "parse_relation.c", true, "column \"secret\" does not exist", NULL,
     "a name or a privilege is missing, or an expression is wrong (SQLSTATE 42703)", NULL},
    {"42P01", "parse_relation.c", false, "relation \"t\" does not exist", "d",
     "relation \"t\" does not exist", "d"},
    {"23502", "execMain.c", false, "null value in column \"a\" violates not-null constraint",
     "Failing row contains (1, secret).", "null value in column \"a\" violates not-null constraint", NULL},
    {"23503", "ri_triggers.c", false, "update violates foreign key constraint \"f\"",
     "Key (a)=(secret) is not present in table \"u\".", "update violates foreign key constraint \"f\"", NULL},
    {"23505", "tuplesort.c", false, "could not create unique index \"i\"",
     "Key (a, b)=(1, secret) is duplicated.", "could not create unique index \"i\"",
     "Several rows have the same values in (a, b). GROUP BY a, b HAVING count(*) > 1 finds them."},
    {"23505", "nbtinsert.c", false, "duplicate key value violates unique constraint \"i\"",
     "Key (lower(a))=(x)=(secret) already exists.", "duplicate key value violates unique constraint \"i\"",
     "Several rows have the same values in (lower(a)). GROUP BY lower(a) HAVING count(*) > 1 finds them."},
    {"23505", "nbtinsert.c", false, "duplicate", "another form: secret", "duplicate", NULL},
    {"23P01", "execIndexing.c", false, "conflicting key value violates exclusion constraint \"x\"",
     "Key (r)=([1,3)) conflicts with existing key (r)=([2,4)).",
     "conflicting key value violates exclusion constraint \"x\"",
     "Rows exclude each other by their values in (r)."},
    {"54000", "nbtutils.c", false, "index row size 9000 exceeds maximum", "Index row references tuple (0,1).",
     "index row size 9000 exceeds maximum", "Index row references tuple (0,1)."},
    {"53100", "md.c", true, "could not extend file \"base/1/2\"", NULL, "could not extend file \"base/1/2\"",
     NULL},
};

static void
test_redaction(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(redactions) / sizeof(redactions[0]); i++) {
        struct error err = server_error(redactions[i].sqlstate, redactions[i].source, redactions[i].message,
                                        redactions[i].detail);

        err.inside = redactions[i].inside;
        for (int again = 0; again < 2; again++) {
            error_redact(&err);
            assert_string_equal(err.message, redactions[i].shown_message);
            assert_string_equal(err.sqlstate, redactions[i].sqlstate);
            if (redactions[i].shown_detail == NULL)
                assert_null(err.detail);
            else
                assert_string_equal(err.detail, redactions[i].shown_detail);
        }
        error_clear(&err);
    }
}

/* What the program says itself, and what libpq says, has no source. */
static void
test_own_words_stay(void **state)
{
    struct error err = server_error("22P02", "", "the row with the key (1) cannot be converted", "d");

    (void)state;
    error_redact(&err);
    assert_string_equal(err.message, "the row with the key (1) cannot be converted");
    assert_string_equal(err.hint, "a hint");
    error_clear(&err);
}

static void
test_flags_stay(void **state)
{
    struct error err = server_error("57P01", "pl_exec.c", "secret", NULL);

    (void)state;
    err.connection_lost = true;
    err.stopped = true;
    error_redact(&err);
    assert_true(err.connection_lost && err.stopped);
    assert_int_equal(err.kind, ERROR_FAILED);
    error_clear(&err);
}

static void
assert_of_a_row(const char *sqlstate, bool expected)
{
    struct error err = server_error(sqlstate, "a.c", "m", NULL);

    if (error_is_of_a_row(&err) != expected)
        fail_msg("SQLSTATE %s", sqlstate);
    error_clear(&err);
}

/* Which SQLSTATE a row fails with is for its values and the user's functions to choose. */
static void
test_whose_fault(void **state)
{
    static const char *const rows[] = {"0A000", "21000", "22P02", "23514", "2F004", "38000",
                                       "42P01", "44000", "54000", "P0001", "ZZ999"};
    static const char *const servers[] = {"08006", "25P02", "40001", "53100", "55P03",
                                          "57014", "58030", "XX000", "PGRW1", ""};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_of_a_row(rows[i], true);
    for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++)
        assert_of_a_row(servers[i], false);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redaction),
        cmocka_unit_test(test_own_words_stay),
        cmocka_unit_test(test_flags_stay),
        cmocka_unit_test(test_whose_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
