/* What the receiver tells the server, and when: against a server that the test plays. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "fake_server.h"
#include "stream/stream.h"

#define SLOT_AT 500 /* what the slot has confirmed before */

/* A sink that knows what would survive a crash. Used by the stream's thread, looked at by the test. */
struct sink {
    lsn_t committed;
    _Atomic lsn_t durable;
    _Atomic int syncs, records;
};

struct fixture {
    struct fake_server server;
    struct connection_options connection;
    struct sink sink;
    struct stream *stream;
};

static bool
sink_append(void *arg, const struct message *m, lsn_t lsn, struct error *err)
{
    struct sink *sink = arg;

    (void)lsn;
    (void)err;
    if (m->kind == MESSAGE_COMMIT)
        sink->committed = m->commit.end_lsn;
    return true;
}

static bool
sink_flush(void *arg, struct error *err)
{
    (void)arg;
    (void)err;
    return true;
}

static bool
sink_sync(void *arg, struct error *err)
{
    struct sink *sink = arg;

    (void)err;
    sink->durable = sink->committed;
    sink->syncs++;
    return true;
}

static bool
sink_progress(void *arg, lsn_t lsn, struct error *err)
{
    struct sink *sink = arg;

    if (lsn <= sink->committed)
        return error_set(err, ERROR_FAILED, "progress went back");
    sink->committed = lsn;
    sink->records++;
    return true;
}

static struct stream *
start(struct fixture *x, lsn_t limit, struct error *err)
{
    struct stream_options options = {
        .connection = &x->connection,
        .slot = "slot",
        .publication = "publication",
        .limit = limit,
        .sink = {&x->sink, sink_append, sink_flush, sink_sync, sink_progress},
    };

    x->connection.dbname = x->server.dbname;
    x->server.confirmed = SLOT_AT;
    fake_server_run(&x->server);
    x->stream = stream_start(&options, err);
    fake_server_ready(&x->server);
    return x->stream;
}

static struct fixture *
open_stream(void **state, lsn_t limit)
{
    struct fixture *x = *state;
    struct error err = {0};

    assert_ok(start(x, limit, &err) != NULL, &err);
    assert_int_equal(stream_confirmed(x->stream), SLOT_AT);
    return x;
}

static int
make_fixture(void **state)
{
    struct fixture *x = calloc(1, sizeof(*x));

    fake_server_open(&x->server);
    *state = x;
    return 0;
}

static int
drop_fixture(void **state)
{
    struct fixture *x = *state;

    stream_stop(x->stream);
    fake_server_close(&x->server);
    free(x);
    return 0;
}

/* Read what the client says until it has flushed up to lsn. What it says is durable, and within the limit. */
static void
await_flushed(struct fixture *x, lsn_t lsn, int ms, lsn_t limit)
{
    int64_t until = clock_ms() + ms;
    lsn_t written = 0, flushed = 0;

    do {
        int64_t left = until - clock_ms();

        if (left < 0 || !fake_server_status(&x->server, (int)left, &written, &flushed))
            fail_msg("%lu was not confirmed", (unsigned long)lsn);
        assert_true(flushed <= SLOT_AT || flushed <= x->sink.durable);
        assert_true(flushed == 0 || flushed >= SLOT_AT);
        assert_true(flushed <= limit);
        assert_true(written <= SLOT_AT || written <= x->sink.durable);
    } while (flushed < lsn);
    assert_int_equal(flushed, lsn);
    assert_int_equal(stream_confirmed(x->stream), lsn);
}

static void
test_keepalives_are_recorded_before_they_are_confirmed(void **state)
{
    struct fixture *x = open_stream(state, 0);
    lsn_t lsn = 1000;

    for (int i = 0; i < 150; i++) { /* about 1.5 s */
        fake_server_keepalive(&x->server, ++lsn, false);
        usleep(10000);
    }
    await_flushed(x, lsn, 3000, UINT64_MAX);
    assert_in_range(x->sink.records, 2, 4);
    assert_in_range(x->sink.syncs, 2, 4);
    assert_int_equal(stream_received(x->stream), lsn);
}

static void
test_requests_are_answered_at_once(void **state)
{
    struct fixture *x = open_stream(state, 0);
    lsn_t written, flushed;

    usleep(200000); /* it waits for the next message now */
    fake_server_keepalive(&x->server, 1000, true);
    assert_true(fake_server_status(&x->server, 500, &written, &flushed));
    assert_int_equal(flushed, SLOT_AT);
    assert_int_equal(x->sink.syncs, 0);
    await_flushed(x, 1000, 2000, UINT64_MAX);
    assert_int_equal(x->sink.records, 1);
}

/* No progress within a transaction: what the keepalive names is not all there. */
static void
test_transactions(void **state)
{
    struct fixture *x = open_stream(state, 0);

    fake_server_keepalive(&x->server, 1000, false);
    fake_server_begin(&x->server, 1900);
    fake_server_keepalive(&x->server, 3000, false);
    fake_server_commit(&x->server, 1900, 2000);
    await_flushed(x, 2000, 1500, UINT64_MAX);
    assert_int_equal(x->sink.records, 0);
    fake_server_keepalive(&x->server, 3000, false);
    await_flushed(x, 3000, 2000, UINT64_MAX);
    assert_int_equal(x->sink.records, 1);
}

static void
test_limit(void **state)
{
    struct fixture *x = open_stream(state, 1500);
    lsn_t written, flushed;

    fake_server_begin(&x->server, 1900);
    fake_server_commit(&x->server, 1900, 2000);
    await_flushed(x, 1500, 1500, 1500);
    assert_true(fake_server_status(&x->server, 500, &written, &flushed));
    assert_int_equal(written, 2000); /* or a server that shuts down would wait */
    assert_int_equal(flushed, 0);
    fake_server_keepalive(&x->server, 2000, true);
    assert_true(fake_server_status(&x->server, 1000, &written, &flushed));
    assert_int_equal(flushed, 0);

    stream_limit(x->stream, 1800);
    await_flushed(x, 1800, 1500, 1800);
    stream_limit(x->stream, 1000); /* what was confirmed stays so */
    fake_server_begin(&x->server, 2900);
    fake_server_commit(&x->server, 2900, 3000);
    do
        assert_true(fake_server_status(&x->server, 1500, &written, &flushed));
    while (written < 3000);
    assert_int_equal(flushed, 0);
    assert_int_equal(stream_confirmed(x->stream), 1800);
    stream_limit(x->stream, UINT64_MAX);
    await_flushed(x, 3000, 1500, UINT64_MAX);
}

/* Raised and lowered under fire: nothing is confirmed beyond what stream_confirmed() said afterwards. */
static void
test_limit_while_streaming(void **state)
{
    struct fixture *x = open_stream(state, 600);
    lsn_t end = 1000, written, flushed, most = SLOT_AT;

    for (int i = 0; i < 40; i++, end += 10) {
        lsn_t frozen;

        stream_limit(x->stream, UINT64_MAX);
        fake_server_begin(&x->server, end);
        fake_server_commit(&x->server, end, end + 5);
        usleep((useconds_t)(i * 997 % 50) * 1000);
        stream_limit(x->stream, 0);
        frozen = stream_confirmed(x->stream);
        usleep(15000); /* for what was under way */
        while (fake_server_status(&x->server, 0, &written, &flushed))
            most = flushed > most ? flushed : most;
        assert_true(most <= frozen);
        assert_int_equal(stream_confirmed(x->stream), frozen);
    }
}

/* What comes is handed over, but nothing synced, for longer than that would take otherwise. */
static void
test_deferred_sync(void **state)
{
    struct fixture *x = open_stream(state, 0);
    int64_t until = clock_ms() + 700;
    lsn_t written, flushed;

    stream_defer_sync(x->stream, INT64_MAX);
    fake_server_begin(&x->server, 1900);
    fake_server_commit(&x->server, 1900, 2000);
    do {
        fake_server_keepalive(&x->server, 2000, true);
        assert_true(fake_server_status(&x->server, 1000, &written, &flushed));
        assert_true(flushed <= SLOT_AT);
    } while (clock_ms() < until);
    assert_int_equal(stream_received(x->stream), 2000);
    assert_int_equal(x->sink.syncs, 0);
    stream_defer_sync(x->stream, 0);
    await_flushed(x, 2000, 1500, UINT64_MAX);
}

static void
test_stop_confirms(void **state)
{
    struct fixture *x = open_stream(state, 0);
    lsn_t written, flushed = 0;

    fake_server_keepalive(&x->server, 1000, false);
    while (stream_received(x->stream) < 1000)
        usleep(1000);
    stream_stop(x->stream);
    x->stream = NULL;
    while (flushed < 1000)
        assert_true(fake_server_status(&x->server, 1000, &written, &flushed));
    assert_int_equal(x->sink.records, 1);
    assert_int_equal(x->sink.durable, 1000);
}

static void
test_slot_in_use(void **state)
{
    struct fixture *x = *state;
    struct error err = {0};

    x->server.start_error = "55006";
    assert_null(start(x, 0, &err));
    assert_string_equal(err.sqlstate, "55006");
    assert_false(err.connection_lost);
    error_clear(&err);
}

static void
expect_end(struct fixture *x, bool lost, const char *sqlstate)
{
    struct error err = {0};

    while (!stream_failed(x->stream, &err))
        usleep(1000);
    assert_int_equal(err.connection_lost, lost);
    assert_string_equal(err.sqlstate, sqlstate);
    assert_error(&err, "the replication stream ended: refused by the test: %s", sqlstate);
}

static void
test_terminated(void **state)
{
    struct fixture *x = open_stream(state, 0);

    fake_server_error(&x->server, "FATAL", "57P01");
    expect_end(x, true, "57P01");
}

static void
test_decoding_failed(void **state)
{
    struct fixture *x = open_stream(state, 0);

    fake_server_error(&x->server, "ERROR", "42704");
    expect_end(x, false, "42704");
}

#define WITH_SERVER(function) cmocka_unit_test_setup_teardown(function, make_fixture, drop_fixture)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_keepalives_are_recorded_before_they_are_confirmed),
        WITH_SERVER(test_requests_are_answered_at_once),
        WITH_SERVER(test_transactions),
        WITH_SERVER(test_limit),
        WITH_SERVER(test_limit_while_streaming),
        WITH_SERVER(test_deferred_sync),
        WITH_SERVER(test_stop_confirms),
        WITH_SERVER(test_slot_in_use),
        WITH_SERVER(test_terminated),
        WITH_SERVER(test_decoding_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
