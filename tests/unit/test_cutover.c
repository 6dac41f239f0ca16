/*
 * The cutover (src/cutover) where locks are not to be had, something fails under them, or the connection is
 * lost at the commit.
 */
#include "cutover_fixture.h"

#include <string.h>

#include "core/log.h"
#include "fake_clock.h"

#define NOT_FREE .error = "55P03", .message = "canceling statement due to lock timeout"
#define FAILED_ATTEMPT UP_TO_THE_LOCK, FIRST_LOCK(LOCK_T, NOT_FREE), ROLLBACK, BLOCKERS()

static int
reset_clock(void **state)
{
    (void)state;
    fake_clock_reset();
    return 0;
}

static void
expect(struct cutover_fixture *f, enum error_kind kind, const char *message, int attempts)
{
    assert_string_equal(f->err.message, message);
    assert_int_equal(f->err.kind, kind);
    assert_int_equal(f->report.attempts, attempts);
}

static void
test_at_once(void **state)
{
    static const struct fake_step steps[] = {UP_TO_THE_COMMIT, COMMIT()};
    struct cutover_fixture f = {0};

    (void)state;
    assert_ok(CUT_OVER(&f, steps), &f.err);
    assert_null(f.err.message);
    assert_string_equal(f.called.data, "prepare enter drain check record leave(1) ");
    assert_int_equal(f.report.attempts, 1);
    assert_int_equal(fake_clock_sleeps(), 0);
    assert_int_equal(f.fake.session_count, 1); /* nobody asks what became of the commit */
    cutover_fixture_free(&f);
}

/* Nothing of the job happens under a lock that was not had, and nothing of the attempts before is left. */
static void
test_first_lock_after_two_attempts(void **state)
{
    static const struct fake_step steps[] = {FAILED_ATTEMPT, FAILED_ATTEMPT, UP_TO_THE_COMMIT, COMMIT()};
    struct cutover_fixture f = {.attempts = 3};

    (void)state;
    assert_ok(CUT_OVER(&f, steps), &f.err);
    assert_null(f.err.message);
    assert_string_equal(f.err.sqlstate, "");
    assert_string_equal(f.called.data, "prepare prepare prepare enter drain check record leave(1) ");
    assert_int_equal(f.report.attempts, 3);
    assert_int_equal(fake_clock_sleeps(), 2);
    cutover_fixture_free(&f);
}

/* The wait doubles from attempt to attempt, up to three seconds; of each the half at least. */
static void
test_attempts_are_used_up(void **state)
{
    static const struct fake_step steps[] = {
        FAILED_ATTEMPT,
        FAILED_ATTEMPT,
        FAILED_ATTEMPT,
        FAILED_ATTEMPT,
        FAILED_ATTEMPT,
        FAILED_ATTEMPT,
        FAILED_ATTEMPT,
        UP_TO_THE_LOCK,
        FIRST_LOCK(LOCK_T, NOT_FREE),
        ROLLBACK,
        BLOCKERS(.params = {"{16400,16401}"},
                 .rows = {"99|AccessShareLock|f|12|t|t|LOCK TABLE ONLY t IN SHARE UPDATE EXCLUSIVE MODE",
                          "98|ShareLock|f|1|t|t|LOCK TABLE ONLY t IN SHARE UPDATE EXCLUSIVE MODE"})};
    static const int most[] = {100, 200, 400, 800, 1600, 3000, 3000};
    struct cutover_fixture f = {.attempts = 8};

    (void)state;
    assert_false(CUT_OVER(&f, steps));
    expect(&f, ERROR_LOCK,
           "no cutover within 8 attempts: the lock on \"public\".\"t\" was not free within 250 ms", 8);
    assert_string_equal(f.err.detail,
                        "Process 99 holds AccessShareLock on t, in a transaction that is 12 s old.");
    assert_string_equal(f.called.data, "prepare prepare prepare prepare prepare prepare prepare prepare ");
    for (int i = 0; i < 7; i++)
        assert_in_range(fake_clock_sleep_ms(i + 1), most[i] / 2, most[i]);
    cutover_fixture_free(&f);
}

static void
test_shadow_not_free(void **state)
{
    static const struct fake_step steps[] = {BLOCKERS(),
                                             LOOK,
                                             {"apply", "BEGIN; "},
                                             {"apply", "LOCK TABLE ONLY \"public\".\"t_new\"", NOT_FREE},
                                             ROLLBACK,
                                             BLOCKERS()};
    struct cutover_fixture f = {0};

    (void)state;
    assert_false(CUT_OVER(&f, steps));
    expect(&f, ERROR_LOCK,
           "no cutover within 1 attempt: the lock on \"public\".\"t_new\" was not free within 1500 ms", 1);
    cutover_fixture_free(&f);
}

static void
test_a_lock_that_is_an_error(void **state)
{
    static const struct fake_step steps[] = {
        UP_TO_THE_LOCK, FIRST_LOCK(LOCK_T, .error = "42P01", .message = "relation \"t\" does not exist"),
        ROLLBACK};
    struct cutover_fixture f = {.attempts = 3};

    (void)state;
    assert_false(CUT_OVER(&f, steps));
    expect(&f, ERROR_FAILED, "relation \"t\" does not exist", 1);
    assert_string_equal(f.called.data, "prepare ");
    assert_int_equal(fake_clock_sleeps(), 0);
    cutover_fixture_free(&f);
}

#define BOTH_SHADOWS                                                                                         \
    BEGUN, {"apply", "LOCK TABLE ONLY \"public\".\"u_new\" IN ACCESS EXCLUSIVE MODE", .whole = true}, XID
#define LOOK_AT_BOTH LOOK

/* The later lock is waited for only shortly; then the tables are locked in the other order. */
static void
expect_second_order(const struct fake_step *later)
{
    const struct fake_step steps[] = {
        BLOCKERS(.params = {"{16400,16401,16402,16403}"}),
        LOOK_AT_BOTH,
        BOTH_SHADOWS,
        FIRST_LOCK(LOCK_T),
        {"apply", "SET LOCAL lock_timeout = 100", .whole = true},
        *later,
        ROLLBACK,
        BLOCKERS(),
        BLOCKERS(),
        LOOK_AT_BOTH,
        BOTH_SHADOWS,
        FIRST_LOCK(LOCK_U),
        LATER_LOCK(LOCK_T, NOT_FREE),
        ROLLBACK,
        BLOCKERS(.rows = {"99|RowExclusiveLock|f|3|t|t|LOCK TABLE ONLY t IN SHARE UPDATE EXCLUSIVE MODE"}),
        BLOCKERS(),
        LOOK_AT_BOTH,
        BOTH_SHADOWS,
        FIRST_LOCK(LOCK_T),
        LATER_LOCK(LOCK_U),
        LOCKED_LOOK,
        SWAP(),
        COMMIT()};
    struct cutover_fixture f = {.table_count = 2, .attempts = 3};

    assert_ok(CUT_OVER(&f, steps), &f.err);
    assert_string_equal(f.called.data, "prepare prepare prepare enter drain check record leave(1) ");
    assert_int_equal(f.report.attempts, 3);
    assert_int_equal(fake_clock_sleeps(), 2);
    cutover_fixture_free(&f);
}

static void
past_the_deadline(void)
{
    fake_clock_advance(101);
}

static void
test_later_lock_not_free(void **state)
{
    static const struct fake_step not_free = {"apply", LOCK_U, NOT_FREE};
    static const struct fake_step deadlock = {"apply", LOCK_U, .error = "40P01",
                                              .message = "deadlock detected"};
    /* The server's own time-out is for each lock; all together have a deadline. */
    static const struct fake_step cancelled = {"apply", LOCK_U, .wait = true, .meanwhile = past_the_deadline};

    (void)state;
    expect_second_order(&not_free);
    fake_clock_reset();
    expect_second_order(&deadlock);
    fake_clock_reset();
    expect_second_order(&cancelled);
}

static void
test_later_lock_is_named(void **state)
{
    static const struct fake_step steps[] = {
        BLOCKERS(), LOOK_AT_BOTH, BOTH_SHADOWS, FIRST_LOCK(LOCK_T), LATER_LOCK(LOCK_U, NOT_FREE),
        ROLLBACK,   BLOCKERS()};
    struct cutover_fixture f = {.table_count = 2};

    (void)state;
    assert_false(CUT_OVER(&f, steps));
    expect(&f, ERROR_LOCK,
           "no cutover within 1 attempt: the lock on \"public\".\"u\" was not free within 100 ms", 1);
    cutover_fixture_free(&f);
}

/* A check that fails gives the locks back and ends the cutover: nothing was swapped. */
static void
test_check_fails(void **state)
{
    static const struct fake_step steps[] = {UP_TO_THE_SWAP, ROLLBACK};
    struct cutover_fixture f = {.attempts = 3, .failing = "check", .failure = ERROR_PARITY};

    (void)state;
    assert_false(CUT_OVER(&f, steps));
    expect(&f, ERROR_PARITY, "the hook check fails", 1);
    assert_string_equal(f.called.data, "prepare enter drain check leave(0) ");
    assert_int_equal(fake_clock_sleeps(), 0);
    cutover_fixture_free(&f);
}

/* Whatever enter returns, leave follows; a failure to leave does not hide why. */
static void
test_enter_fails(void **state)
{
    static const struct fake_step steps[] = {UP_TO_THE_LOCK, FIRST_LOCK(LOCK_T), ROLLBACK};
    struct cutover_fixture f = {.failing = "enter", .failure = ERROR_FAILED};

    (void)state;
    assert_false(CUT_OVER(&f, steps));
    expect(&f, ERROR_FAILED, "the hook enter fails", 1);
    assert_string_equal(f.called.data, "prepare enter leave(0) ");
    cutover_fixture_free(&f);
}

/* What is done under the locks may itself wait for one: all is given back, and tried again. */
static void
test_locks_of_the_drain(void **state)
{
    static const struct fake_step steps[] = {UP_TO_THE_SWAP, ROLLBACK, UP_TO_THE_COMMIT, COMMIT()};
    static const char *const states[] = {"55P03", "40P01", "57014"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct cutover_fixture f = {.attempts = 2,
                                    .failing = "drain",
                                    .failure = ERROR_FAILED,
                                    .sqlstate = states[i],
                                    .failures_left = 1};

        assert_ok(CUT_OVER(&f, steps), &f.err);
        assert_null(f.err.message);
        assert_string_equal(f.called.data,
                            "prepare enter drain leave(0) prepare enter drain check record leave(1) ");
        assert_int_equal(f.report.attempts, 2);
        cutover_fixture_free(&f);
    }
}

static void
test_deadlock_in_the_swap(void **state)
{
    static const struct fake_step steps[] = {UP_TO_THE_SWAP,
                                             SWAP(.error = "40P01", .message = "deadlock detected"), ROLLBACK,
                                             UP_TO_THE_COMMIT, COMMIT()};
    struct cutover_fixture f = {.attempts = 2};

    (void)state;
    assert_ok(CUT_OVER(&f, steps), &f.err);
    assert_string_equal(f.called.data, "prepare enter drain check record leave(0) "
                                       "prepare enter drain check record leave(1) ");
    cutover_fixture_free(&f);
}

static void
test_swap_fails(void **state)
{
    static const struct fake_step steps[] = {UP_TO_THE_SWAP,
                                             SWAP(.error = "42710", .message = "there already"), ROLLBACK};
    struct cutover_fixture f = {.attempts = 2};

    (void)state;
    assert_false(CUT_OVER(&f, steps));
    expect(&f, ERROR_FAILED, "UPDATE job: there already", 1);
    assert_string_equal(f.err.sqlstate, "42710");
    assert_string_equal(f.called.data, "prepare enter drain check record leave(0) ");
    cutover_fixture_free(&f);
}

/* The definition is looked at before the lock, and again under it. */
static void
test_another_definition(void **state)
{
    static const struct fake_step before[] = {BLOCKERS(), SNAPSHOTS(), MORE};
    static const struct fake_step under[] = {UP_TO_THE_LOCK,
                                             FIRST_LOCK(LOCK_T),
                                             {"apply", "SET LOCAL lock_timeout = 100"},
                                             {"apply", "SET LOCAL statement_timeout = 2000"},
                                             SNAPSHOTS(),
                                             MORE,
                                             ROLLBACK};
    struct cutover_fixture f = {.attempts = 2, .failing = "looked", .failure = ERROR_FAILED};
    struct cutover_fixture g = {
        .attempts = 2, .failing = "looked", .failure = ERROR_FAILED, .looks_before = 1};

    (void)state;
    assert_false(CUT_OVER(&f, before));
    expect(&f, ERROR_FAILED, "the hook looked fails", 1);
    assert_string_equal(f.called.data, "prepare looked ");
    assert_false(CUT_OVER(&g, under));
    expect(&g, ERROR_FAILED, "the hook looked fails", 1);
    assert_string_equal(g.called.data, "prepare enter looked leave(0) ");
    cutover_fixture_free(&f);
    cutover_fixture_free(&g);
}

/* A snapshot that would not see the new rows: no lock is asked for, or it is given back. */
static void
test_old_snapshots(void **state)
{
    static const struct fake_step steps[] = {BLOCKERS(),
                                             SNAPSHOTS(.rows = {"77|12"}),
                                             MORE,
                                             UP_TO_THE_LOCK,
                                             FIRST_LOCK(LOCK_T),
                                             {"apply", "SET LOCAL lock_timeout = 100"},
                                             {"apply", "SET LOCAL statement_timeout = 2000"},
                                             SNAPSHOTS(.rows = {"78|13"}),
                                             MORE,
                                             ROLLBACK};
    struct cutover_fixture f = {.attempts = 2};

    (void)state;
    assert_false(CUT_OVER(&f, steps));
    expect(&f, ERROR_LOCK,
           "no cutover within 2 attempts: a transaction is open whose snapshot would not see the new table's "
           "rows",
           2);
    assert_string_equal(f.err.detail, "Process 78 has a snapshot that is 13 transactions old.");
    assert_string_equal(f.called.data, "prepare prepare enter leave(0) ");
    cutover_fixture_free(&f);
}

static void
test_stopped_between_attempts(void **state)
{
    static const struct fake_step steps[] = {FAILED_ATTEMPT, FAILED_ATTEMPT};
    struct cutover_fixture f = {.attempts = 5};

    (void)state;
    fake_clock_stop_at(2);
    assert_false(CUT_OVER(&f, steps));
    expect(&f, ERROR_FAILED, "stopped between two attempts of the cutover", 2);
    assert_true(f.err.stopped);
    cutover_fixture_free(&f);
}

/* It has ten seconds, then a lock that is in nobody else's way ends it; that is given back before ours. */
static void
test_an_autovacuum_gives_way(void **state)
{
    static const struct fake_step steps[] = {
        BLOCKERS(.times = FAKE_ANY, .rows = {"55|ShareUpdateExclusiveLock|t|30|t|t|LOCK TABLE ONLY t IN "
                                             "SHARE UPDATE EXCLUSIVE MODE"}),
        {"cutover", "BEGIN", .whole = true},
        {NULL, "-- For this transaction", .columns = "set_config", .rows = {"1500"}},
        {NULL, "LOCK TABLE ONLY t IN SHARE UPDATE EXCLUSIVE MODE"},
        {NULL, "ROLLBACK"},
        LOOK,
        BEGUN,
        XID,
        FIRST_LOCK(LOCK_T),
        LOCKED_LOOK,
        SWAP(),
        COMMIT()};
    struct cutover_fixture f = {0};

    (void)state;
    assert_ok(CUT_OVER(&f, steps), &f.err);
    assert_string_equal(f.called.data, "prepare prepare enter drain check record leave(1) ");
    assert_in_range(fake_clock_sleeps(), 1, 101); /* of 100 ms each; asking takes its time too */
    cutover_fixture_free(&f);
}

static void
test_an_autovacuum_does_not_give_way(void **state)
{
    static const struct fake_step steps[] = {
        BLOCKERS(.times = FAKE_ANY,
                 .rows = {"54|AccessShareLock|f|31|t|t|LOCK TABLE ONLY t IN SHARE UPDATE EXCLUSIVE MODE",
                          "55|ShareUpdateExclusiveLock|t|30|t|t|LOCK TABLE ONLY t IN SHARE UPDATE EXCLUSIVE "
                          "MODE"}),
        {"cutover", "BEGIN", .whole = true},
        {NULL, "-- For this transaction", .columns = "set_config", .rows = {"1500"}},
        {NULL, "LOCK TABLE ONLY t IN SHARE UPDATE EXCLUSIVE MODE", NOT_FREE},
        {NULL, "ROLLBACK"}};
    struct cutover_fixture f = {0};

    (void)state;
    assert_false(CUT_OVER(&f, steps));
    expect(&f, ERROR_LOCK, "no cutover within 1 attempt: an autovacuum of t has not given way", 1);
    assert_string_equal(
        f.err.detail,
        "Process 55 (autovacuum) holds ShareUpdateExclusiveLock on t, in a transaction that is 30 s old.");
    assert_string_equal(f.called.data, "prepare ");
    cutover_fixture_free(&f);
}

#define AT(function) cmocka_unit_test_setup(function, reset_clock)

/* The last attempt fails for a lock that the server says it has not got, and not the check. */
static void
test_attempts_used_up_under_the_lock(void **state)
{
    static const struct fake_step steps[] = {
        UP_TO_THE_SWAP, SWAP(.error = "55P03", .message = "canceling statement due to lock timeout"),
        ROLLBACK};
    struct cutover_fixture f = {0};

    (void)state;
    assert_false(CUT_OVER(&f, steps));
    assert_string_equal(f.err.message,
                        "no cutover within 1 attempt: UPDATE job: canceling statement due to lock timeout");
    assert_int_equal(f.err.kind, ERROR_LOCK);
    cutover_fixture_free(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attempts_used_up_under_the_lock),
        AT(test_at_once),
        AT(test_first_lock_after_two_attempts),
        AT(test_attempts_are_used_up),
        AT(test_shadow_not_free),
        AT(test_a_lock_that_is_an_error),
        AT(test_later_lock_not_free),
        AT(test_later_lock_is_named),
        AT(test_check_fails),
        AT(test_enter_fails),
        AT(test_locks_of_the_drain),
        AT(test_deadlock_in_the_swap),
        AT(test_swap_fails),
        AT(test_another_definition),
        AT(test_old_snapshots),
        AT(test_stopped_between_attempts),
        AT(test_an_autovacuum_gives_way),
        AT(test_an_autovacuum_does_not_give_way),
    };

    log_configure(LOG_TEXT, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
