/*
 * The receiver: a thread that reads one replication slot, decodes its messages, gives them to a sink (the
 * spool) and confirms to the server up to where they are durable. It answers keepalives whatever the rest of
 * the program does.
 *
 * The order is: append to the sink, sync the sink, and only then confirm. A keepalive outside of a
 * transaction moves the
 * slot too, so that a quiet table on a busy server holds back no log. It goes the same way, about once a
 * second.
 * Sources: PostgreSQL manual, "Streaming Replication Protocol" (protocol-replication).
 */
#ifndef PGRECAST_STREAM_STREAM_H
#define PGRECAST_STREAM_STREAM_H

#include <stdbool.h>

#include "core/error.h"
#include "core/lsn.h"
#include "decode/message.h"
#include "pg/session.h"

/*
 * The receiver of the messages. Called only from the stream's thread; each function returns false with the
 * error set.
 */
struct stream_sink {
    void *arg;
    bool (*append)(void *arg, const struct message *m, lsn_t lsn, struct error *err);
    /* Pass on what was appended: no more messages are there now. */
    bool (*flush)(void *arg, struct error *err);
    bool (*sync)(void *arg, struct error *err); /* make it durable */
    /*
     * Up to lsn there are no more changes. Called outside of a transaction; durable with the next sync. May
     * be NULL.
     */
    bool (*progress)(void *arg, lsn_t lsn, struct error *err);
    /* The encoding of names and values (core/encoding.h). Called before all other functions; may be NULL. */
    void (*encoding)(void *arg, const char *encoding);
};

struct stream_options {
    const struct connection_options *connection;
    const char *slot;
    const char *publication;
    bool any_origin; /* also receive changes that replication has brought to the table (16+) */
    lsn_t from;      /* end of what the sink has on disk already; 0: the slot's own position */
    lsn_t limit;     /* stream_limit() from the beginning; 0: none */
    struct stream_sink sink;
};

struct stream;

/* Connects and starts replication. NULL on failure. */
struct stream *stream_start(const struct stream_options *options, struct error *err);

/* True when the thread has ended with an error. The first call moves the error to err. */
bool stream_failed(struct stream *s, struct error *err);

lsn_t stream_received(const struct stream *s); /* the log is read up to here */

/* The process id of the server process that sends the changes. */
int stream_pid(const struct stream *s);

/* Up to here the log is durable and confirmed to the server; at first the slot's own position. */
lsn_t stream_confirmed(const struct stream *s);

/*
 * From now on confirm nothing beyond lsn, even if it is durable (UINT64_MAX: no limit, as at the beginning).
 * What was confirmed before remains confirmed. Thread-safe. After the return no confirmation beyond max(lsn,
 * stream_confirmed()) is being sent. A higher limit takes effect within a second.
 */
void stream_limit(struct stream *s, lsn_t lsn);

/*
 * Sync and confirm nothing until that time (by clock_ms()), so that messages are passed on without a wait for
 * the disk. Not where a very large amount is unsynced. Thread-safe.
 */
void stream_defer_sync(struct stream *s, int64_t until_ms);

/* Sync and confirm a last time, end the thread, and free s. NULL-safe. */
void stream_stop(struct stream *s);

#endif
