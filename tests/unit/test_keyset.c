/* The set of dirty keys (src/apply/keyset.c). */
#include "support.h"

#include <string.h>

#include "keyset.h"

static void
test_a_key_is_there_once(void **state)
{
    struct keyset set = {0};

    (void)state;
    assert_false(keyset_has(&set, "a", 1));
    keyset_add(&set, "a", 1);
    keyset_add(&set, "a", 1);
    keyset_add(&set, "a\0b", 3);
    keyset_add(&set, "", 0);
    assert_int_equal(set.count, 3);
    assert_true(keyset_has(&set, "a", 1));
    assert_true(keyset_has(&set, "a\0b", 3));
    assert_true(keyset_has(&set, "", 0));
    assert_false(keyset_has(&set, "b", 1));
    keyset_clear(&set);
    assert_int_equal(set.count, 0);
    assert_false(keyset_has(&set, "a", 1));
}

static void
test_many_keys_are_walked_in_order(void **state)
{
    struct keyset set = {0};
    const char *key;
    uint32_t len;
    size_t at = 0;
    int seen = 0;

    (void)state;
    for (int i = 0; i < 50000; i++)
        keyset_add(&set, (const char *)&i, sizeof(i));
    for (int i = 0; i < 50000; i++)
        assert_true(keyset_has(&set, (const char *)&i, sizeof(i)));
    while (keyset_next(&set, &at, &key, &len)) {
        int number;

        assert_int_equal(len, sizeof(number));
        memcpy(&number, key, sizeof(number));
        assert_int_equal(number, seen++);
    }
    assert_int_equal(seen, 50000);
    keyset_clear(&set);
}

static void
test_a_walk_goes_on_after_a_removal(void **state)
{
    struct keyset set = {0}, gone = {0};
    const char *key;
    uint32_t len;
    size_t at = 0;

    (void)state;
    keyset_add(&set, "one", 3);
    keyset_add(&set, "two", 3);
    keyset_add(&set, "three", 5);
    keyset_add(&set, "four", 4);
    keyset_add(&gone, "one", 3);
    keyset_add(&gone, "three", 5);
    keyset_add(&gone, "nine", 4);
    assert_true(keyset_next(&set, &at, &key, &len));
    assert_true(keyset_next(&set, &at, &key, &len));
    keyset_remove_all(&set, &gone, &at);
    assert_int_equal(set.count, 2);
    assert_false(keyset_has(&set, "one", 3));
    assert_true(keyset_has(&set, "two", 3));
    assert_true(keyset_next(&set, &at, &key, &len));
    assert_memory_equal(key, "four", 4);
    assert_false(keyset_next(&set, &at, &key, &len));
    keyset_remove_all(&set, &set, &at);
    assert_int_equal(set.count, 0);
    assert_false(keyset_next(&set, &at, &key, &len));
    keyset_clear(&set);
    keyset_clear(&gone);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_is_there_once),
        cmocka_unit_test(test_many_keys_are_walked_in_order),
        cmocka_unit_test(test_a_walk_goes_on_after_a_removal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
