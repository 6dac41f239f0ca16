/* The commit of a cutover: what became of it, where its answer was lost (src/cutover). */
#include "cutover_fixture.h"

#include <string.h>

#include "core/log.h"
#include "core/stop.h"
#include "fake_clock.h"

#define LOST COMMIT(.end = FAKE_LOST_BEFORE)
#define IN_PROGRESS .rows = {"in progress"}

static int
reset_clock(void **state)
{
    (void)state;
    fake_clock_reset();
    return 0;
}

static void
expect_committed(struct cutover_fixture *f, int sleeps)
{
    assert_null(f->err.message);
    assert_false(f->err.connection_lost);
    assert_string_equal(f->called.data, "prepare enter drain check record leave(1) ");
    assert_int_equal(f->report.attempts, 1);
    assert_int_equal(fake_clock_sleeps(), sleeps);
    cutover_fixture_free(f);
}

/* Not committed, or not known: no second attempt, whatever is left of them. */
static void
expect_failed(struct cutover_fixture *f, const char *message, bool lost)
{
    assert_string_equal(f->err.message, message);
    assert_int_equal(f->err.kind, ERROR_FAILED);
    assert_int_equal(f->err.connection_lost, lost);
    assert_string_equal(f->called.data, "prepare enter drain check record leave(0) ");
    assert_int_equal(f->report.attempts, 1);
    cutover_fixture_free(f);
}

static void
test_lost_and_committed(void **state)
{
    static const struct fake_step lost[] = {UP_TO_THE_COMMIT, LOST, STATUS(.rows = {"committed"})};
    static const struct fake_step terminated[] = {
        UP_TO_THE_COMMIT, COMMIT(.severity = "FATAL", .error = "57P01", .message = "terminating connection"),
        STATUS(.rows = {"committed"})};
    struct cutover_fixture f = {.attempts = 3}, g = {.attempts = 3};

    (void)state;
    assert_ok(CUT_OVER(&f, lost), &f.err);
    expect_committed(&f, 0);
    assert_ok(CUT_OVER(&g, terminated), &g.err);
    expect_committed(&g, 0);
}

static void
test_lost_and_aborted(void **state)
{
    static const struct fake_step steps[] = {UP_TO_THE_COMMIT, LOST, STATUS(.rows = {"aborted"})};
    struct cutover_fixture f = {.attempts = 3};

    (void)state;
    assert_false(CUT_OVER(&f, steps));
    expect_failed(&f, FAKE_LOST_MESSAGE, true);
}

/* A server that was promoted meanwhile has given the number to a transaction of its own. */
static void
test_lost_and_another_was_committed(void **state)
{
    static const struct fake_step steps[] = {UP_TO_THE_COMMIT, LOST, STATUS(.rows = {"committed"})};
    struct cutover_fixture f = {.attempts = 3, .not_recorded = true};

    (void)state;
    assert_false(CUT_OVER(&f, steps));
    expect_failed(&f, FAKE_LOST_MESSAGE, true);
}

/* A commit that waits for a standby is in progress until the process has noticed that the client is gone. */
static void
test_lost_and_in_progress_for_a_while(void **state)
{
    static const struct fake_step committed[] = {UP_TO_THE_COMMIT, LOST, STATUS(.times = 3, IN_PROGRESS),
                                                 STATUS(.rows = {"committed"})};
    static const struct fake_step aborted[] = {UP_TO_THE_COMMIT, LOST, STATUS(.times = 3, IN_PROGRESS),
                                               STATUS(.rows = {"aborted"})};
    struct cutover_fixture f = {0}, g = {0};

    (void)state;
    assert_ok(CUT_OVER(&f, committed), &f.err);
    expect_committed(&f, 3);
    fake_clock_reset();
    assert_false(CUT_OVER(&g, aborted));
    assert_int_equal(fake_clock_sleeps(), 3);
    expect_failed(&g, FAKE_LOST_MESSAGE, true);
}

/* The server comes back in steps: nothing of that is an answer. */
static void
test_lost_with_the_server(void **state)
{
    static const struct fake_step steps[] = {
        UP_TO_THE_COMMIT,
        LOST,
        {"cutover", FAKE_CONNECT, .end = FAKE_LOST_BEFORE},
        {NULL, FAKE_CONNECT, .error = "57P03", .message = "the database system is starting up"},
        {NULL, FAKE_CONNECT, .error = "53300", .message = "sorry, too many clients already"},
        {NULL, XACT_STATUS, .end = FAKE_LOST_BEFORE},
        {NULL, XACT_STATUS, .error = "57P01", .severity = "FATAL", .message = "terminating connection"},
        STATUS(.rows = {"committed"})};
    struct cutover_fixture f = {0};

    (void)state;
    assert_ok(CUT_OVER(&f, steps), &f.err);
    expect_committed(&f, 5);
}

/* For a minute it is asked; what is not known then is not called committed, nor is another attempt made. */
static void
expect_unknown(const struct fake_step *answer)
{
    const struct fake_step steps[] = {UP_TO_THE_COMMIT, LOST, *answer};
    struct cutover_fixture f = {.attempts = 3};

    fake_clock_reset();
    assert_false(CUT_OVER(&f, steps));
    assert_in_range(fake_clock_sleeps(), 1, 600); /* of 100 ms each; asking takes its time too */
    expect_failed(&f, "whether the cutover was committed is not known: " FAKE_LOST_MESSAGE, true);
}

static void
test_lost_and_not_known(void **state)
{
    static const struct fake_step in_progress = STATUS(.times = FAKE_ANY, IN_PROGRESS);
    static const struct fake_step forgotten =
        STATUS(.times = FAKE_ANY, .rows = {FAKE_NULL}); /* too old to say */
    static const struct fake_step other_server =
        STATUS(.times = FAKE_ANY, .error = "22023", .message = "transaction ID 815 is in the future");
    static const struct fake_step unreachable = {"cutover", FAKE_CONNECT, .times = FAKE_ANY,
                                                 .end = FAKE_LOST_BEFORE};

    (void)state;
    expect_unknown(&in_progress);
    expect_unknown(&forgotten);
    expect_unknown(&other_server);
    expect_unknown(&unreachable);
}

/* The server has answered: there is nothing to ask. */
static void
test_commit_refused(void **state)
{
    static const struct fake_step steps[] = {
        UP_TO_THE_COMMIT, COMMIT(.error = "23503", .message = "a deferred constraint is violated")};
    struct cutover_fixture f = {.attempts = 3};

    (void)state;
    assert_false(CUT_OVER(&f, steps));
    assert_string_equal(f.err.sqlstate, "23503");
    assert_int_equal(f.fake.session_count, 1);
    expect_failed(&f, "a deferred constraint is violated", false);
}

/* Before the commit was sent: what was done is rolled back by the server, and there is nothing to ask. */
static void
test_lost_before_the_commit(void **state)
{
    static const struct fake_step steps[] = {UP_TO_THE_SWAP, SWAP(.end = FAKE_LOST_BEFORE)};
    struct cutover_fixture f = {.attempts = 3};

    (void)state;
    assert_false(CUT_OVER(&f, steps));
    assert_int_equal(f.fake.session_count, 1);
    expect_failed(&f, FAKE_LOST_MESSAGE, true);
}

static void
test_lost_at_a_lock(void **state)
{
    static const struct fake_step steps[] = {UP_TO_THE_LOCK, FIRST_LOCK(LOCK_T, .end = FAKE_LOST_BEFORE)};
    struct cutover_fixture f = {.attempts = 3};

    (void)state;
    assert_false(CUT_OVER(&f, steps));
    assert_string_equal(f.err.message, FAKE_LOST_MESSAGE);
    assert_true(f.err.connection_lost);
    assert_string_equal(f.called.data, "prepare ");
    assert_int_equal(f.report.attempts, 1);
    cutover_fixture_free(&f);
}

/* The commit stands: leave is told so, and its error is the result. */
static void
test_leave_fails_after_the_commit(void **state)
{
    static const struct fake_step steps[] = {UP_TO_THE_COMMIT, COMMIT()};
    struct cutover_fixture f = {.attempts = 3, .failing = "leave(1)", .failure = ERROR_FAILED};

    (void)state;
    assert_false(CUT_OVER(&f, steps));
    assert_string_equal(f.err.message, "the hook leave(1) fails");
    assert_string_equal(f.called.data, "prepare enter drain check record leave(1) ");
    cutover_fixture_free(&f);
}

#define AT(function) cmocka_unit_test_setup(function, reset_clock)

/*
 * A machine that goes down stops the program and the server together. The outcome of the commit still has to
 * be found out: a stop must not cancel the question (Between two of them there must be a wait.).
 */
static void
test_outcome_is_asked_after_a_stop(void **state)
{
    static const struct fake_step steps[] = {UP_TO_THE_COMMIT,
                                             COMMIT(.end = FAKE_LOST_BEFORE, .meanwhile = stop_request),
                                             STATUS(.rows = {"committed"})};
    struct cutover_fixture f = {0};

    (void)state;
    stop_install();
    assert_ok(CUT_OVER(&f, steps), &f.err);
    assert_string_equal(f.called.data, "prepare enter drain check record leave(1) ");
    assert_int_equal(f.fake.cancels, 0);
    cutover_fixture_free(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        AT(test_lost_and_committed),
        AT(test_lost_and_aborted),
        AT(test_lost_and_another_was_committed),
        AT(test_lost_and_in_progress_for_a_while),
        AT(test_lost_with_the_server),
        AT(test_lost_and_not_known),
        AT(test_commit_refused),
        AT(test_lost_before_the_commit),
        AT(test_lost_at_a_lock),
        AT(test_leave_fails_after_the_commit),
        cmocka_unit_test(test_outcome_is_asked_after_a_stop), /* the last: a stop is for good */
    };

    log_configure(LOG_TEXT, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
