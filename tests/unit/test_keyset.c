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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_is_there_once),
        cmocka_unit_test(test_many_keys_are_walked_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
