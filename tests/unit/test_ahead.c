/* What is applied beyond the saved place (src/apply/ahead.c). */
#include "support.h"

#include "ahead.h"

/* .until and the positions held, 0 at the end. */
static struct ahead
make(const lsn_t *list)
{
    struct ahead x = {.until = list[0]};

    for (list++; *list != 0; list++)
        ahead_hold(&x, *list);
    return x;
}

#define AHEAD(...) make((const lsn_t[]){__VA_ARGS__, 0})

/* Releases the two. */
static void
assert_merged(struct ahead last, struct ahead now, lsn_t place, lsn_t read, lsn_t until, const char *held)
{
    struct buffer text = {0};
    struct ahead all;

    ahead_merge(&last, &now, place, read, &all);
    ahead_write(&all, &text);
    assert_int_equal(all.until, until);
    assert_string_equal(text.data, held);
    buffer_free(&text);
    ahead_free(&all);
    ahead_free(&last);
    ahead_free(&now);
}

static void
test_all_but_the_held_are_applied(void **state)
{
    struct ahead none = {0}, x = AHEAD(100, 40, 20);

    (void)state;
    assert_false(ahead_has(&none, 1));
    assert_true(ahead_has(&x, 10));
    assert_false(ahead_has(&x, 20));
    assert_true(ahead_has(&x, 30));
    assert_false(ahead_has(&x, 40));
    assert_true(ahead_has(&x, 99));
    assert_false(ahead_has(&x, 100));
    ahead_free(&x);
}

static void
test_what_is_saved_with_a_place(void **state)
{
    (void)state;
    assert_merged(((struct ahead){0}), ((struct ahead){0}), 10, 10, 0, "{}");
    assert_merged(((struct ahead){0}), AHEAD(100, 20, 40), 10, 100, 100, "{0/14,0/28}");
    assert_merged(AHEAD(100, 20, 40), ((struct ahead){0}), 10, 10, 100, "{0/14,0/28}");
    assert_merged(AHEAD(100, 20, 40), ((struct ahead){0}), 25, 25, 100, "{0/28}"); /* 20 is applied */
    assert_merged(AHEAD(100, 20, 40), ((struct ahead){0}), 100, 100, 0, "{}");
}

static void
test_held_back_in_a_second_process(void **state)
{
    (void)state;
    assert_merged(AHEAD(100, 20, 40), AHEAD(30, 20), 10, 30, 100, "{0/14,0/28}"); /* 20 again */
    assert_merged(AHEAD(100, 20, 40), AHEAD(50, 40), 25, 50, 100, "{0/28}");
    assert_merged(AHEAD(100, 20, 40), AHEAD(200, 150), 120, 200, 200, "{0/96}");
    assert_merged(AHEAD(100, 20, 40), AHEAD(200, 40, 150), 25, 200, 200, "{0/28,0/96}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_but_the_held_are_applied),
        cmocka_unit_test(test_what_is_saved_with_a_place),
        cmocka_unit_test(test_held_back_in_a_second_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
