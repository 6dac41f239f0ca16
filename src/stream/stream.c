#include "stream/stream.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/cursor.h"
#include "core/mem.h"
#include "decode/message.h"

#define SYNC_INTERVAL_MS 300      /* longest time for which changes stay unsynced */
#define PROGRESS_INTERVAL_MS 1000 /* the same for keepalives alone, because a server sends many of them */
#define SYNC_BYTES (16 * 1024 * 1024)
#define FEEDBACK_INTERVAL_MS 5000
/* Between confirmations that became possible only by a higher limit. */
#define RAISED_INTERVAL_MS 300
#define POSTGRES_EPOCH_US 946684800000000LL /* 2000-01-01 in Unix time */

/* Why the loop ended. */
enum stream_end { STREAM_RUNNING, STREAM_STOPPED, STREAM_ERROR };

struct stream {
    struct session *session;
    struct decoder *decoder;
    struct stream_sink sink;
    pthread_t thread;
    bool thread_started;
    int wake; /* eventfd: written by stream_stop() */
    atomic_bool stop;
    atomic_bool failed;
    struct error error; /* set by the thread; to be read after failed is set */
    _Atomic lsn_t received;
    _Atomic lsn_t confirmed;         /* written under the lock, before it is sent */
    _Atomic int64_t sync_not_before; /* by clock_ms() */
    pthread_mutex_t lock;            /* held while the limit is read and the position to confirm is chosen */
    lsn_t limit;

    /* Used by the thread only. */
    bool in_transaction;
    /* End of the last complete transaction in the sink, or of the last progress given to it. */
    lsn_t committed;
    lsn_t progress;  /* position of a keepalive since then, which the sink does not have yet; 0: none */
    lsn_t durable;   /* the part of committed that is synced */
    size_t unsynced; /* bytes appended since the last sync */
    int64_t synced_at;
    int64_t feedback_at;
};

static void
stream_put_u64(char *at, uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        at[i] = (char)(value & 0xff);
}

/* Standby status update: 'r', written, flushed, applied, the time, reply requested. */
static bool
send_status(struct stream *s, lsn_t written, lsn_t flushed, struct error *err)
{
    PGconn *conn = session_conn(s->session);
    struct timeval now;
    char message[34];

    gettimeofday(&now, NULL);
    message[0] = 'r';
    stream_put_u64(message + 1, written);
    stream_put_u64(message + 9, flushed);
    stream_put_u64(message + 17, flushed);
    stream_put_u64(message + 25, (uint64_t)((int64_t)now.tv_sec * 1000000 + now.tv_usec - POSTGRES_EPOCH_US));
    message[33] = 0;
    if (PQputCopyData(conn, message, sizeof(message)) != 1 || PQflush(conn) != 0) {
        session_error(s->session, NULL, ERROR_FAILED, err);
        return error_context(err, "confirming the position of the replication slot");
    }
    s->feedback_at = clock_ms();
    return true;
}

/* The position that may be confirmed now. To be called with the lock held. */
static lsn_t
allowed(const struct stream *s)
{
    return s->durable < s->limit ? s->durable : s->limit;
}

/* True when the limit was raised since the last confirmation. */
static bool
is_behind(struct stream *s)
{
    bool behind;

    pthread_mutex_lock(&s->lock);
    behind = allowed(s) > atomic_load(&s->confirmed);
    pthread_mutex_unlock(&s->lock);
    return behind;
}

/*
 * The position is chosen and published under the lock: after lowering the limit, the caller sees the highest
 * position that may still be sent. True when the position has moved.
 */
static bool
choose_confirmed(struct stream *s)
{
    bool moved;

    pthread_mutex_lock(&s->lock);
    moved = allowed(s) > atomic_load(&s->confirmed);
    if (moved)
        atomic_store(&s->confirmed, allowed(s));
    pthread_mutex_unlock(&s->lock);
    return moved;
}

/*
 * Only "flushed" moves the slot, and 0 leaves it where it is. A server that shuts down waits until "flushed"
 * is all that it has sent, or "written" where "flushed" is 0 (WalSndDone() in walsender.c). So while the
 * limit holds back a position, the last status has "flushed" 0. Otherwise the server would wait for a job
 * that waits for the server.
 */
static bool
send_feedback(struct stream *s, struct error *err)
{
    bool moved = choose_confirmed(s);
    lsn_t confirmed = atomic_load(&s->confirmed);

    if (s->durable <= confirmed)
        return send_status(s, confirmed, confirmed, err);
    return (!moved || send_status(s, confirmed, confirmed, err)) && send_status(s, s->durable, 0, err);
}

/*
 * Make durable before confirming. The position of a keepalive becomes a record only here, because there may
 * be very many keepalives.
 */
static bool
sync_and_confirm(struct stream *s, struct error *err)
{
    if (s->progress > s->committed) {
        if (s->sink.progress != NULL && !s->sink.progress(s->sink.arg, s->progress, err))
            return false;
        s->committed = s->progress;
    }
    s->progress = 0;
    if (!s->sink.sync(s->sink.arg, err))
        return false;
    s->unsynced = 0;
    s->synced_at = clock_ms();
    s->durable = s->committed;
    return send_feedback(s, err);
}

static bool
take_change(struct stream *s, struct cursor *cur, struct error *err)
{
    lsn_t start = cursor_u64(cur);
    struct message message;
    size_t len;
    const void *payload;

    cursor_u64(cur); /* end of the log on the server */
    cursor_u64(cur); /* the server's clock */
    len = cursor_left(cur);
    payload = cursor_bytes(cur, len);
    if (cursor_failed(cur))
        return error_set(err, ERROR_FAILED, "the replication stream sent a message that is too short");
    if (!decoder_decode(s->decoder, payload, len, &message, err))
        return false;
    if (message.kind == MESSAGE_IGNORED || message.kind == MESSAGE_ORIGIN)
        return true;
    if (!s->sink.append(s->sink.arg, &message, start, err))
        return false;
    s->unsynced += len;
    if (message.kind == MESSAGE_BEGIN) {
        s->in_transaction = true;
        s->progress = 0; /* inside a transaction it cannot be confirmed; the commit will be beyond it */
    } else if (message.kind == MESSAGE_COMMIT) {
        s->in_transaction = false;
        s->committed = message.commit.end_lsn;
        atomic_store(&s->received, message.commit.end_lsn);
    }
    return true;
}

static bool
take_keepalive(struct stream *s, struct cursor *cur, struct error *err)
{
    lsn_t end = cursor_u64(cur);
    bool reply;

    cursor_u64(cur); /* the server's clock */
    reply = cursor_u8(cur) != 0;
    if (!cursor_done(cur))
        return error_set(err, ERROR_FAILED, "the replication stream sent a malformed keepalive");
    if (!s->in_transaction && end > s->committed && end > s->progress) {
        s->progress = end;
        atomic_store(&s->received, end);
    }
    return reply ? send_feedback(s, err) : true;
}

static bool
take_message(struct stream *s, const char *data, size_t len, struct error *err)
{
    struct cursor cur = cursor_over(data, len);
    uint8_t kind = cursor_u8(&cur);

    switch (kind) {
    case 'w':
        return take_change(s, &cur, err);
    case 'k':
        return take_keepalive(s, &cur, err);
    default:
        return error_set(err, ERROR_FAILED, "the replication stream sent an unknown message (0x%02x)", kind);
    }
}

/* Handle everything that libpq has received already: at most what one read of the socket brought. */
static bool
drain(struct stream *s, struct error *err)
{
    PGconn *conn = session_conn(s->session);

    while (!atomic_load(&s->stop)) {
        char *data = NULL;
        int len = PQgetCopyData(conn, &data, 1);
        bool ok;

        if (len == 0)
            return true;
        if (len < 0) {
            PGresult *res = PQgetResult(conn);

            session_error(s->session, res, ERROR_FAILED, err);
            PQclear(res);
            /* Also when a server that shuts down has ended the stream in order. */
            if (err->sqlstate[0] == '\0')
                err->connection_lost = true;
            return error_context(err, "the replication stream ended");
        }
        ok = take_message(s, data, (size_t)len, err);
        PQfreemem(data);
        if (!ok)
            return false;
        if (s->unsynced >= SYNC_BYTES && !sync_and_confirm(s, err))
            return false;
    }
    return true;
}

static bool
wait_for_data(struct stream *s, struct error *err)
{
    struct pollfd fds[2] = {
        {.fd = PQsocket(session_conn(s->session)), .events = POLLIN},
        {.fd = s->wake, .events = POLLIN},
    };

    /* With TLS the library may hold received bytes while the socket is silent. */
    if (poll(fds, 2, PQsslInUse(session_conn(s->session)) ? 10 : SYNC_INTERVAL_MS) < 0 && errno != EINTR)
        return error_set(err, ERROR_FAILED, "waiting for the replication stream: %s", strerror(errno));
    if (PQconsumeInput(session_conn(s->session)) == 0) {
        session_error(s->session, NULL, ERROR_FAILED, err);
        err->connection_lost = true;
        return error_context(err, "the replication stream ended");
    }
    return true;
}

/* Sync and confirm, if it is time to. */
static bool
confirm_in_time(struct stream *s, struct error *err)
{
    int64_t now = clock_ms();

    if (now < atomic_load(&s->sync_not_before))
        return true;
    if (s->unsynced > 0 && now - s->synced_at >= SYNC_INTERVAL_MS)
        return sync_and_confirm(s, err);
    if (s->progress > 0 && now - s->synced_at >= PROGRESS_INTERVAL_MS)
        return sync_and_confirm(s, err);
    if (now - s->feedback_at >= FEEDBACK_INTERVAL_MS)
        return send_feedback(s, err);
    if (now - s->feedback_at >= RAISED_INTERVAL_MS && is_behind(s))
        return send_feedback(s, err);
    return true;
}

static bool
stream_run(struct stream *s, struct error *err)
{
    while (!atomic_load(&s->stop)) {
        if (!drain(s, err) || !s->sink.flush(s->sink.arg, err) || !confirm_in_time(s, err) ||
            !wait_for_data(s, err))
            return false;
    }
    return sync_and_confirm(s, err);
}

static void *
thread_main(void *arg)
{
    struct stream *s = arg;

    if (!stream_run(s, &s->error))
        atomic_store(&s->failed, true);
    return NULL;
}

/*
 * Read what the slot has confirmed already. On servers before 14.19, 15.14, 16.10 and 17.6 a status with a
 * lower position would move the slot back, and the server cannot send again what it has removed meanwhile.
 */
static bool
read_confirmed(struct stream *s, const char *slot, struct error *err)
{
    PGconn *conn = session_conn(s->session);
    char *literal = PQescapeLiteral(conn, slot, strlen(slot));
    char *sql =
        mem_printf("SELECT confirmed_flush_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = %s",
                   literal != NULL ? literal : "''");
    struct result res = {.res = PQexec(conn, sql)};
    bool ok = PQresultStatus(res.res) == PGRES_TUPLES_OK;

    if (!ok) {
        session_error(s->session, res.res, ERROR_FAILED, err);
        error_context(err, "looking for replication slot \"%s\"", slot);
    } else if (result_rows(&res) == 1) {
        atomic_store(&s->confirmed, row_lsn(&res, 0, "confirmed_flush_lsn"));
    }
    result_free(&res);
    free(sql);
    PQfreemem(literal);
    return ok;
}

static bool
start_replication(struct stream *s, const struct stream_options *options, struct error *err)
{
    char *plugin = pgoutput_options(session_major(s->session), options->publication, options->any_origin);
    struct buffer sql = {0};
    char text[LSN_TEXT_SIZE];
    PGresult *res;
    bool ok;

    buffer_add_text(&sql, "START_REPLICATION SLOT ");
    buffer_add_identifier(&sql, options->slot);
    buffer_printf(&sql, " LOGICAL %s (%s)", lsn_format(options->from, text), plugin);
    res = PQexec(session_conn(s->session), sql.data);
    ok = PQresultStatus(res) == PGRES_COPY_BOTH;
    if (!ok) {
        session_error(s->session, res, ERROR_FAILED, err);
        error_context(err, "starting replication from slot \"%s\"", options->slot);
    }
    PQclear(res);
    buffer_free(&sql);
    free(plugin);
    return ok;
}

struct stream *
stream_start(const struct stream_options *options, struct error *err)
{
    struct stream *s = mem_alloc(sizeof(*s));

    s->sink = options->sink;
    s->wake = eventfd(0, EFD_CLOEXEC);
    s->decoder = decoder_new();
    s->synced_at = s->feedback_at = clock_ms();
    s->committed = s->durable = options->from;
    s->limit = options->limit > 0 ? options->limit : UINT64_MAX;
    pthread_mutex_init(&s->lock, NULL);
    s->session = session_open(options->connection, SESSION_REPLICATION, "stream", err);
    if (s->session == NULL || !read_confirmed(s, options->slot, err) || !start_replication(s, options, err))
        goto failed;
    if (s->sink.encoding != NULL)
        s->sink.encoding(s->sink.arg, session_encoding(s->session));
    if (pthread_create(&s->thread, NULL, thread_main, s) != 0) {
        error_set(err, ERROR_FAILED, "cannot start the thread that receives changes");
        goto failed;
    }
    s->thread_started = true;
    return s;
failed:
    stream_stop(s);
    return NULL;
}

bool
stream_failed(struct stream *s, struct error *err)
{
    if (!atomic_load(&s->failed))
        return false;
    if (s->error.message != NULL)
        error_move(err, &s->error);
    return true;
}

int
stream_pid(const struct stream *s)
{
    return session_backend_pid(s->session);
}

lsn_t
stream_received(const struct stream *s)
{
    return atomic_load(&s->received);
}

lsn_t
stream_confirmed(const struct stream *s)
{
    return atomic_load(&s->confirmed);
}

void
stream_limit(struct stream *s, lsn_t lsn)
{
    pthread_mutex_lock(&s->lock);
    s->limit = lsn;
    pthread_mutex_unlock(&s->lock);
}

void
stream_defer_sync(struct stream *s, int64_t until_ms)
{
    atomic_store(&s->sync_not_before, until_ms);
}

void
stream_stop(struct stream *s)
{
    uint64_t one = 1;
    ssize_t ignored;

    if (s == NULL)
        return;
    atomic_store(&s->stop, true);
    if (s->thread_started) {
        ignored = write(s->wake, &one, sizeof(one));
        (void)ignored;
        pthread_join(s->thread, NULL);
    }
    session_close(s->session);
    decoder_free(s->decoder);
    error_clear(&s->error);
    pthread_mutex_destroy(&s->lock);
    if (s->wake >= 0)
        close(s->wake);
    free(s);
}
