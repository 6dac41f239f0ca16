/*
 * The receiver: a thread that reads one replication slot, decodes its messages, hands them to a sink (the
 * spool) and tells the server how far they are durable. It answers keepalives whatever the rest of the
 * program does.
 *
 * Order of things: appended to the sink, synced by it, and only then confirmed. A keepalive outside of a
 * transaction moves the slot too, so that a quiet table in a busy server pins no log; it goes the same way,
 * about once a second. Sources: PostgreSQL manual, "Streaming Replication Protocol" (protocol-replication).
 */
#ifndef PGRECAST_STREAM_STREAM_H
#define PGRECAST_STREAM_STREAM_H

#include <stdbool.h>

#include "core/error.h"
#include "core/lsn.h"
#include "decode/message.h"
#include "pg/session.h"

/* Where messages go. Called from the stream's thread only; each returns false with the error set. */
struct stream_sink {
    void *arg;
    bool (*append)(void *arg, const struct message *m, lsn_t lsn, struct error *err);
    bool (*flush)(void *arg, struct error *err); /* hand over what was appended: nothing more is there now */
    bool (*sync)(void *arg, struct error *err);  /* make it durable */
    /* up to lsn there is nothing more, outside of a transaction; durable with the next sync. May be NULL. */
    bool (*progress)(void *arg, lsn_t lsn, struct error *err);
};

struct stream_options {
    const struct connection_options *connection;
    const char *slot;
    const char *publication;
    bool any_origin; /* also take changes that came to the table by replication (16+) */
    lsn_t from;      /* end of what the sink holds already, on disk; 0: the slot's own position */
    lsn_t limit;     /* stream_limit() from the first moment on; 0: none */
    struct stream_sink sink;
};

struct stream;

/* Connects and starts replication. NULL on failure. */
struct stream *stream_start(const struct stream_options *options, struct error *err);

/* True when the thread has ended by an error, which is moved to err the first time. */
bool stream_failed(struct stream *s, struct error *err);

lsn_t stream_received(const struct stream *s); /* the log is read up to here */

/* And durable and told to the server up to here; at first what the slot says. */
lsn_t stream_confirmed(const struct stream *s);

/*
 * Confirm nothing beyond lsn from now on (UINT64_MAX: no limit, as at first), whatever is durable. What was
 * confirmed before stays so. Thread-safe. When it has returned, no confirmation beyond max(lsn,
 * stream_confirmed()) is under way. A higher limit takes effect within a second.
 */
void stream_limit(struct stream *s, lsn_t lsn);

/*
 * Until then (by clock_ms()) nothing is synced and confirmed, so that what comes is handed over without a
 * wait for the disk; unless that becomes very much. Thread-safe.
 */
void stream_defer_sync(struct stream *s, int64_t until_ms);

/* Ends the thread after a last sync and confirmation; frees. NULL-safe. */
void stream_stop(struct stream *s);

#endif
