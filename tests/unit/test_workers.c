/* Workers: items handed out once each, the first end that counts, sessions kept or not. */
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "fake_server.h"
#include "pg/workers.h"

#define COUNT 4
#define ITEMS 1000

struct work {
    struct workers *pool;
    atomic_int taken[ITEMS];
    atomic_int calls[COUNT];
    int64_t fails_at; /* that item, -1: none */
    bool waits;       /* once they have begun, until the run is to end */
    atomic_int begun;
};

static struct work *
work_new(int64_t fails_at)
{
    static struct work work;
    const struct workers_options options = {.count = COUNT};

    memset(&work, 0, sizeof(work));
    work.fails_at = fails_at;
    work.pool = workers_new(&options);
    return &work;
}

static bool
take_items(void *arg, int number, struct session *s, struct error *err)
{
    struct work *work = arg;
    int64_t item;

    if (s != NULL)
        return error_set(err, ERROR_FAILED, "a session that was not asked for");
    atomic_fetch_add(&work->calls[number], 1);
    atomic_fetch_add(&work->begun, 1);
    while (work->waits && !workers_ending(work->pool))
        sched_yield();
    while (workers_take(work->pool, &item)) {
        atomic_fetch_add(&work->taken[item], 1);
        if (item == work->fails_at)
            return error_set(err, ERROR_FAILED, "item %d", (int)item);
    }
    return !work->waits || error_set(err, ERROR_FAILED, "a consequence");
}

static int
taken(const struct work *work)
{
    int count = 0;

    for (int i = 0; i < ITEMS; i++)
        count += atomic_load(&work->taken[i]);
    return count;
}

static void
test_items(void **state)
{
    struct work *work = work_new(-1);
    struct error err = {0};

    (void)state;
    for (int run = 1; run <= 3; run++) {
        workers_start(work->pool, COUNT, take_items, work, ITEMS);
        assert_int_equal(workers_join(work->pool, &err), WORKERS_DONE);
        assert_true(workers_done(work->pool));
        for (int i = 0; i < ITEMS; i++)
            assert_int_equal(atomic_load(&work->taken[i]), run);
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(atomic_load(&work->calls[i]), run);
    }
    workers_start(work->pool, 1, take_items, work, 0);
    assert_int_equal(workers_join(work->pool, &err), WORKERS_DONE);
    assert_int_equal(atomic_load(&work->calls[0]), 4);
    assert_int_equal(atomic_load(&work->calls[1]), 3);
    assert_false(workers_ending(work->pool));
    assert_null(workers_session(work->pool, 0));
    workers_free(work->pool);
}

static void
test_first_failure(void **state)
{
    struct work *work = work_new(17);
    struct error err = {0};

    (void)state;
    workers_start(work->pool, COUNT, take_items, work, ITEMS);
    assert_int_equal(workers_join(work->pool, &err), WORKERS_FAILED);
    assert_error(&err, "item 17");
    assert_true(workers_ending(work->pool));
    assert_false(workers_end(work->pool));
    workers_free(work->pool);
}

static void
test_end(void **state)
{
    struct work *work = work_new(-1);
    struct error err = {0};

    (void)state;
    work->waits = true;
    workers_start(work->pool, COUNT, take_items, work, ITEMS);
    while (atomic_load(&work->begun) < COUNT)
        sched_yield();
    assert_false(workers_done(work->pool));
    assert_true(workers_end(work->pool));
    assert_false(workers_end(work->pool));
    workers_cancel(work->pool);
    assert_int_equal(workers_join(work->pool, &err), WORKERS_ENDED);
    assert_null(err.message);
    assert_int_equal(taken(work), 0);

    /* It holds for later runs. */
    workers_start(work->pool, COUNT, take_items, work, ITEMS);
    assert_true(workers_done(work->pool));
    assert_int_equal(workers_join(work->pool, &err), WORKERS_ENDED);
    assert_int_equal(atomic_load(&work->begun), COUNT);
    workers_free(work->pool);
}

static bool
expect_session(void *arg, int number, struct session *s, struct error *err)
{
    struct session **seen = arg;

    (void)number;
    if (s == NULL || (*seen != NULL && *seen != s))
        return error_set(err, ERROR_FAILED, "not the session of the run before");
    *seen = s;
    return true;
}

/* Returns how many statements changed settings. */
static int
expect_kept(bool kept, const char *settings)
{
    struct connection_options connection = {0};
    const struct workers_options options = {.count = 1,
                                            .connection = &connection,
                                            .purpose = "unit",
                                            .settings = settings,
                                            .keeps_sessions = kept};
    struct session *seen = NULL;
    struct fake_server server;
    struct error err = {0};
    struct workers *pool;

    fake_server_open(&server);
    connection.dbname = server.dbname;
    fake_server_run(&server);
    pool = workers_new(&options);
    for (int run = 0; run < (kept ? 2 : 1); run++) {
        workers_start(pool, 1, expect_session, &seen, 0);
        assert_ok(workers_join(pool, &err) == WORKERS_DONE, &err);
        assert_ptr_equal(workers_session(pool, 0), kept ? seen : NULL);
    }
    workers_free(pool);
    fake_server_ready(&server);
    fake_server_close(&server);
    return server.settings;
}

static void
test_sessions(void **state)
{
    const char *settings = "SELECT pg_catalog.set_config('a', 'b', false)";
    int pinned = expect_kept(false, NULL); /* by every session */

    (void)state;
    assert_int_equal(expect_kept(false, settings), pinned + 1);
    assert_int_equal(expect_kept(true, settings), pinned + 1); /* once, for two runs */
}

static void
test_no_session(void **state)
{
    struct connection_options connection = {.dbname = (char *)"host=/nonexistent"};
    struct workers_options options = {.count = 2, .connection = &connection, .purpose = "unit"};
    struct workers *pool = workers_new(&options);
    struct session *seen = NULL;
    struct error err = {0};

    (void)state;
    workers_start(pool, 2, expect_session, &seen, 0);
    assert_int_equal(workers_join(pool, &err), WORKERS_FAILED);
    assert_true(err.connection_lost);
    assert_error_ends(&err, "Is the server running locally and accepting connections on that socket?");
    assert_null(seen);
    workers_free(pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items),    cmocka_unit_test(test_first_failure), cmocka_unit_test(test_end),
        cmocka_unit_test(test_sessions), cmocka_unit_test(test_no_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
