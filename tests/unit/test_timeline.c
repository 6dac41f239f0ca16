#include <string.h>

#include "stream/timeline.h"
#include "support.h"

/* As a server writes it: each line ends the timeline it names. */
static const char history[] = "1\t0/3000148\tno recovery target specified\n"
                              "\n"
                              "# a comment\n"
                              "  \n"
                              "2\t0/50000A0\tbefore 2000-01-01 00:00:00+00\n"
                              "\n"
                              "5\tA/FF000028\tat restore point \"x\"";

static bool
fork_of(const char *text, uint32_t now, uint32_t before, lsn_t *fork, struct error *err)
{
    return timeline_history_fork(text, strlen(text), now, before, fork, err);
}

static void
expect_fork(uint32_t before, lsn_t expected)
{
    struct error err = {0};
    lsn_t fork = 0;

    assert_ok(fork_of(history, 7, before, &fork, &err), &err);
    assert_int_equal(fork, expected);
}

static void
expect_error(const char *text, uint32_t now, uint32_t before, const char *message)
{
    struct error err = {0};
    lsn_t fork = 77;

    assert_false(fork_of(text, now, before, &fork, &err));
    assert_int_equal(fork, 77);
    assert_error(&err, "%s", message);
}

static void
test_ancestors(void **state)
{
    (void)state;
    expect_fork(1, 0x3000148);
    expect_fork(2, 0x50000A0);
    expect_fork(5, UINT64_C(0xAFF000028));
}

static void
test_no_ancestor(void **state)
{
    (void)state;
    expect_error(history, 7, 3, "the server is on timeline 7, which does not go back to timeline 3");
    expect_error(history, 7, 7, "the server is on timeline 7, which does not go back to timeline 7");
    expect_error(history, 7, 8, "the server is on timeline 7, which does not go back to timeline 8");
    expect_error("", 7, 1, "the server is on timeline 7, which does not go back to timeline 1");
    expect_error("# nothing\n", 7, 1, "the server is on timeline 7, which does not go back to timeline 1");
}

/* Each is wrong in its second line, and an ancestor found before does not excuse it. */
static void
test_malformed(void **state)
{
    static const char *const wrong[][2] = {
        {"x\t0/1\tr", "does not start with a timeline"},
        {"0\t0/5\tr", "does not start with a timeline"},
        {"-2\t0/5\tr", "does not start with a timeline"},
        {" 2\t0/5\tr", "does not start with a timeline"},
        {"2 0/5 r", "does not start with a timeline"},
        {"2", "does not start with a timeline"},
        {"99999999999\t0/5\tr", "does not start with a timeline"},
        {"4294967296\t0/5\tr", "does not start with a timeline"},
        {"2\t", "has no valid position"},
        {"2\t05\tr", "has no valid position"},
        {"2\t0/G\tr", "has no valid position"},
        {"2\t0/0\tr", "has no valid position"},
        {"2\t0/5 \tr", "has no valid position"},
        {"2\t000000000/5\tr", "has no valid position"},
        {"2\t0/123456789\tr", "has no valid position"},
        {"1\t0/5\tr", "is out of order"},
        {"2\t0/1\tr", "is out of order"},
        {"7\t0/5\tr", "is out of order"},
    };
    char text[256], message[256];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(text, sizeof(text), "1\t0/2\treason\n%s\n", wrong[i][0]);
        snprintf(message, sizeof(message), "line 2 of the history of timeline 7 %s", wrong[i][1]);
        expect_error(text, 7, 1, message);
    }
}

static void
test_bytes(void **state)
{
    char zero[] = "1\t0/2\tr\n2\t0/5\t?\n";
    char endless[5000];
    struct error err = {0};
    lsn_t fork;

    (void)state;
    zero[strlen(zero) - 2] = '\0';
    assert_false(timeline_history_fork(zero, sizeof(zero) - 1, 7, 1, &fork, &err));
    assert_error(&err, "line 2 of the history of timeline 7 is no text");
    memset(endless, '1', sizeof(endless));
    assert_false(timeline_history_fork(endless, sizeof(endless), 7, 1, &fork, &err));
    assert_error(&err, "line 1 of the history of timeline 7 is no text");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ancestors),
        cmocka_unit_test(test_no_ancestor),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
