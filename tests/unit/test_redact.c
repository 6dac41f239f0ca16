/* Errors of rows lose what may be a value (src/pg/redact.c). */
#include "support.h"

#include <string.h>

#include "pg/redact.h"

static struct error
server_error(const char *sqlstate, const char *message, const char *detail)
{
    struct error err = {0};

    error_set(&err, ERROR_FAILED, "%s", message);
    if (detail != NULL)
        error_detail(&err, "%s", detail);
    memcpy(err.sqlstate, sqlstate, 6);
    return err;
}

static void
test_a_value_in_the_message_goes(void **state)
{
    struct error err = server_error("22P02", "invalid input syntax for type integer: \"secret\"", NULL);

    (void)state;
    error_redact(&err);
    assert_null(strstr(err.message, "secret"));
    assert_non_null(strstr(err.message, "22P02"));
    assert_string_equal(err.sqlstate, "22P02");
    error_clear(&err);
}

static void
test_a_function_may_raise_anything(void **state)
{
    struct error err = server_error("P0001", "the row secret is bad", "secret");

    (void)state;
    error_redact(&err);
    assert_null(strstr(err.message, "secret"));
    assert_null(err.detail);
    error_clear(&err);
}

static void
test_a_failing_row_goes_from_the_detail(void **state)
{
    struct error err = server_error("23502", "null value in column \"a\" violates not-null constraint",
                                    "Failing row contains (1, secret).");

    (void)state;
    error_redact(&err);
    assert_non_null(strstr(err.message, "column \"a\""));
    assert_null(err.detail);
    error_clear(&err);
}

static void
test_a_duplicate_key_is_named(void **state)
{
    struct error err =
        server_error("23505", "could not create unique index \"i\"", "Key (a)=(1) is duplicated.");

    (void)state;
    error_redact(&err);
    assert_string_equal(err.detail, "Key (a)=(1) is duplicated.");
    error_clear(&err);
}

static void
test_other_errors_stay(void **state)
{
    struct error err = server_error("42P01", "relation \"t\" does not exist", "d");

    (void)state;
    assert_false(error_is_of_a_row(&err));
    error_redact(&err);
    assert_string_equal(err.message, "relation \"t\" does not exist");
    assert_string_equal(err.detail, "d");
    error_clear(&err);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_value_in_the_message_goes),
        cmocka_unit_test(test_a_function_may_raise_anything),
        cmocka_unit_test(test_a_failing_row_goes_from_the_detail),
        cmocka_unit_test(test_a_duplicate_key_is_named),
        cmocka_unit_test(test_other_errors_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
