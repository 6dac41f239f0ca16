/* What looks into the source say of keys that are set aside (src/apply/blocked.c). */
#include "support.h"

#include <string.h>

#include "blocked.h"

/* One look, with the last marker passed: each letter a key. */
static void
look(struct blocked *b, int64_t marker, const char *missing, const char *there)
{
    struct keyset none = {0}, some = {0};

    for (const char *at = missing; *at != '\0'; at++)
        keyset_add(&none, at, 1);
    for (const char *at = there; *at != '\0'; at++)
        keyset_add(&some, at, 1);
    blocked_look_begin(b, marker);
    blocked_look_seen(b, &none, &some);
    keyset_clear(&none);
    keyset_clear(&some);
}

static void
assert_gone(struct blocked *b, int64_t marker, const char *expected)
{
    blocked_look_begin(b, marker);
    for (const char *at = "abc"; *at != '\0'; at++)
        assert_int_equal(blocked_is_gone(b, at, 1), strchr(expected, *at) != NULL);
}

static void
test_a_missing_key_is_gone_behind_the_next_marker(void **state)
{
    struct blocked b = {0};

    (void)state;
    look(&b, 1, "a", "c");
    assert_gone(&b, 1, ""); /* the change that moved it may still be to come */
    look(&b, 1, "b", "");
    assert_gone(&b, 1, "");
    assert_gone(&b, 2, "ab");
    look(&b, 2, "abc", "");
    assert_gone(&b, 2, "ab");
    assert_gone(&b, 3, "abc");
    blocked_free(&b);
    assert_gone(&b, 4, "");
}

static void
test_a_key_that_comes_back_is_forgotten(void **state)
{
    struct blocked b = {0};

    (void)state;
    look(&b, 1, "ab", "");
    look(&b, 1, "", "a"); /* before the marker … */
    assert_gone(&b, 2, "b");
    look(&b, 2, "", "b"); /* … and after it */
    assert_gone(&b, 2, "");
    look(&b, 2, "ab", "");
    assert_gone(&b, 2, "");
    assert_gone(&b, 3, "ab");
    blocked_free(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_missing_key_is_gone_behind_the_next_marker),
        cmocka_unit_test(test_a_key_that_comes_back_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
