/* What is applied beyond the saved place (src/apply/beyond.c). */
#include "support.h"

#include "beyond.h"

/* .until and the positions held, 0 at the end. */
static struct beyond
make(const lsn_t *list)
{
    struct beyond x = {.until = list[0]};

    for (list++; *list != 0; list++)
        beyond_hold(&x, *list);
    return x;
}

#define BEYOND(...) make((const lsn_t[]){__VA_ARGS__, 0})

/* Releases the two. */
static void
assert_merged(struct beyond last, struct beyond now, lsn_t place, lsn_t read, lsn_t until, const char *held)
{
    struct buffer text = {0};
    struct beyond all;

    beyond_merge(&last, &now, place, read, &all);
    beyond_write(&all, &text);
    assert_int_equal(all.until, until);
    assert_string_equal(text.data, held);
    buffer_free(&text);
    beyond_free(&all);
    beyond_free(&last);
    beyond_free(&now);
}

static void
test_all_but_the_held_are_applied(void **state)
{
    struct beyond none = {0}, x = BEYOND(100, 40, 20);

    (void)state;
    assert_false(beyond_has(&none, 1));
    assert_true(beyond_has(&x, 10));
    assert_false(beyond_has(&x, 20));
    assert_true(beyond_has(&x, 30));
    assert_false(beyond_has(&x, 40));
    assert_true(beyond_has(&x, 99));
    assert_false(beyond_has(&x, 100));
    beyond_free(&x);
}

static void
test_what_is_saved_with_a_place(void **state)
{
    (void)state;
    assert_merged(((struct beyond){0}), ((struct beyond){0}), 10, 10, 0, "{}");
    assert_merged(((struct beyond){0}), BEYOND(100, 20, 40), 10, 100, 100, "{0/14,0/28}");
    assert_merged(BEYOND(100, 20, 40), ((struct beyond){0}), 10, 10, 100, "{0/14,0/28}");
    assert_merged(BEYOND(100, 20, 40), ((struct beyond){0}), 25, 25, 100, "{0/28}"); /* 20 is applied */
    assert_merged(BEYOND(100, 20, 40), ((struct beyond){0}), 100, 100, 0, "{}");
}

static void
test_held_back_in_a_second_process(void **state)
{
    (void)state;
    assert_merged(BEYOND(100, 20, 40), BEYOND(30, 20), 10, 30, 100, "{0/14,0/28}"); /* 20 again */
    assert_merged(BEYOND(100, 20, 40), BEYOND(50, 40), 25, 50, 100, "{0/28}");
    assert_merged(BEYOND(100, 20, 40), BEYOND(200, 150), 120, 200, 200, "{0/96}");
    assert_merged(BEYOND(100, 20, 40), BEYOND(200, 40, 150), 25, 200, 200, "{0/28,0/96}");
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
