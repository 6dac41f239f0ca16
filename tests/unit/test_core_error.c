#include "support.h"

#include <string.h>

static void
test_set_replaces_all(void **state)
{
    struct error err = {0};

    (void)state;
    assert_false(error_set(&err, ERROR_LOCK, "first %d", 1));
    assert_false(error_detail(&err, "detail"));
    assert_false(error_hint(&err, "hint"));
    strcpy(err.sqlstate, "55P03");
    err.connection_lost = true;
    assert_false(error_set(&err, ERROR_USAGE, "second"));
    assert_int_equal(err.kind, ERROR_USAGE);
    assert_string_equal(err.message, "second");
    assert_null(err.detail);
    assert_null(err.hint);
    assert_string_equal(err.sqlstate, "");
    assert_false(err.connection_lost);
    error_clear(&err);
}

static void
test_context_is_put_in_front(void **state)
{
    struct error err = {0};

    (void)state;
    error_set(&err, ERROR_FAILED, "no space");
    assert_false(error_context(&err, "writing %s", "x"));
    assert_false(error_context(&err, "job \"%s\"", "j"));
    assert_string_equal(err.message, "job \"j\": writing x: no space");
    assert_int_equal(err.kind, ERROR_FAILED);
    error_clear(&err);
}

static void
test_set_may_use_the_old_message(void **state)
{
    struct error err = {0};

    (void)state;
    error_set(&err, ERROR_FAILED, "old");
    error_set(&err, ERROR_PARITY, "new after %s", err.message);
    assert_string_equal(err.message, "new after old");
    error_clear(&err);
}

static void
test_detail_and_hint_are_replaced(void **state)
{
    struct error err = {0};

    (void)state;
    error_set(&err, ERROR_FAILED, "message");
    error_detail(&err, "one");
    error_detail(&err, "two: %s", err.detail);
    error_hint(&err, "one");
    error_hint(&err, "two");
    assert_string_equal(err.detail, "two: one");
    assert_string_equal(err.hint, "two");
    error_clear(&err);
}

static void
test_move_empties_the_source(void **state)
{
    struct error from = {0}, to = {0};

    (void)state;
    error_set(&to, ERROR_USAGE, "gone");
    error_set(&from, ERROR_FAILED, "moved");
    error_hint(&from, "hint");
    error_move(&to, &from);
    assert_string_equal(to.message, "moved");
    assert_string_equal(to.hint, "hint");
    assert_null(from.message);
    assert_int_equal(from.kind, ERROR_NONE);
    error_clear(&to);
    error_clear(&from);
    error_clear(NULL);
    assert_int_equal(to.kind, ERROR_NONE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_replaces_all),
        cmocka_unit_test(test_context_is_put_in_front),
        cmocka_unit_test(test_set_may_use_the_old_message),
        cmocka_unit_test(test_detail_and_hint_are_replaced),
        cmocka_unit_test(test_move_empties_the_source),
    };

    return cmocka_run_group_tests_name("core/error", tests, NULL, NULL);
}
