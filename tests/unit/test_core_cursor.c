#include "support.h"

#include "core/cursor.h"

static void
test_integers_are_in_network_order(void **state)
{
    const unsigned char bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct cursor cur = cursor_over(bytes, sizeof(bytes));

    (void)state;
    assert_int_equal(cursor_u8(&cur), 0x01);
    assert_int_equal(cursor_u16(&cur), 0x0203);
    assert_int_equal(cursor_u32(&cur), 0x04050607);
    assert_true(cursor_u64(&cur) == UINT64_C(0x08090a0b0c0d0e0f));
    assert_true(cursor_done(&cur));
}

static void
test_done_only_at_the_end(void **state)
{
    struct cursor cur = cursor_over("ab", 2);

    (void)state;
    assert_false(cursor_done(&cur));
    cursor_u8(&cur);
    assert_int_equal(cursor_left(&cur), 1);
    assert_false(cursor_done(&cur));
    cursor_u8(&cur);
    assert_true(cursor_done(&cur));
    assert_int_equal(cursor_left(&cur), 0);
}

static void
test_error_is_sticky(void **state)
{
    struct cursor cur = cursor_over("abc", 3);

    (void)state;
    assert_int_equal(cursor_u32(&cur), 0);
    assert_true(cursor_failed(&cur));
    assert_int_equal(cursor_u8(&cur), 0);
    assert_null(cursor_bytes(&cur, 0));
    assert_null(cursor_string(&cur));
    assert_int_equal(cursor_left(&cur), 0);
    assert_false(cursor_done(&cur));
}

static void
test_strings_must_end(void **state)
{
    struct cursor cur = cursor_over("one\0\0two", 8);

    (void)state;
    assert_string_equal(cursor_string(&cur), "one");
    assert_string_equal(cursor_string(&cur), "");
    assert_null(cursor_string(&cur));
    assert_true(cursor_failed(&cur));
}

static void
test_bytes_are_bounded(void **state)
{
    static const char bytes[] = "abcd";
    struct cursor cur = cursor_over(bytes, 4);

    (void)state;
    assert_ptr_equal(cursor_bytes(&cur, 3), bytes);
    assert_non_null(cursor_bytes(&cur, 0));
    assert_null(cursor_bytes(&cur, SIZE_MAX));
    assert_true(cursor_failed(&cur));
}

static void
test_nothing_to_read(void **state)
{
    struct cursor cur = cursor_over("", 0);

    (void)state;
    assert_true(cursor_done(&cur));
    assert_int_equal(cursor_u8(&cur), 0);
    assert_true(cursor_failed(&cur));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers_are_in_network_order),
        cmocka_unit_test(test_done_only_at_the_end),
        cmocka_unit_test(test_error_is_sticky),
        cmocka_unit_test(test_strings_must_end),
        cmocka_unit_test(test_bytes_are_bounded),
        cmocka_unit_test(test_nothing_to_read),
    };

    return cmocka_run_group_tests_name("core/cursor", tests, NULL, NULL);
}
