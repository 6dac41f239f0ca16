/* Writing a batch to the shadow. Internal to the apply. */
#ifndef PGRECAST_APPLY_FLUSH_H
#define PGRECAST_APPLY_FLUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "batch.h"
#include "core/lsn.h"
#include "pg/session.h"
#include "statements.h"

/* What the rows already in the shadow are worth for this batch. */
enum flush_trust {
    TRUST_NEWER, /* they may be newer than the batch: values left unchanged only from the row of the same key
                  */
    TRUST_PARTIAL, /* right, but some are missing: values not found come from the source */
    TRUST_EXACT,   /* all there: a missing one is an error */
};

/* Rows in the temporary tables, of what the same transaction has written before. */
struct flush_mark {
    int staged;
    int dead;
};

struct flush {
    const struct plan *plan;
    struct session *session;
    struct stream_columns columns;
    bool keeps_defaults; /* the shadow has columns whose values survive a rewrite of the row */
    bool overlay;        /* rows go to the overlay until flush_merge() */
    char *copy_stage;
    struct buffer text;

    const uint64_t *xids; /* of the batch at hand */
    int xid_count;
    bool awaited; /* they are visible */

    struct flush_mark mark;

    /* set by a flush that read values from the source: those may be newer than the batch */
    bool filled;
};

bool flush_open(struct flush *f, const struct plan *plan, struct session *s, struct error *err);
void flush_close(struct flush *f);

/* Inside the caller's transaction. xids: the batch's transactions, 64 bit, awaited before the source is read.
 */
bool flush_batch(struct flush *f, struct batch *b, enum flush_trust trust, const uint64_t *xids,
                 int xid_count, struct error *err);

/*
 * The same in parts, for who tries what goes: start (which closes the batch), truncate where the batch says
 * so, then entries as often as need be. Those named are written as a batch of their own (NULL: the first
 * count); the base of each must be among them. Errors are not redacted yet. After a rollback to a savepoint
 * the mark that was taken there must be given back.
 */
void flush_start(struct flush *f, struct batch *b, const uint64_t *xids, int xid_count);
bool flush_truncate(struct flush *f, struct error *err);
bool flush_entries(struct flush *f, const struct batch *b, const int *entries, int count,
                   enum flush_trust trust, struct error *err);
struct flush_mark flush_mark(const struct flush *f);
void flush_rewind(struct flush *f, struct flush_mark mark);

/*
 * After flush_batch() failed on a row's content and its transaction was rolled back: find the row by halving
 * the batch, and put its key into the error. Best effort. No transaction is open before and after.
 */
void flush_name_failing_row(struct flush *f, struct batch *b, struct error *err);

/* Rows go by way of the overlay until flush_merge() or the end of the transaction. */
bool flush_overlay(struct flush *f, struct error *err);

/* Bring the overlay's rows back to the shadow. */
bool flush_merge(struct flush *f, struct error *err);

/* To be called after each commit or rollback: the temporary tables are empty again. */
void flush_transaction_ended(struct flush *f);

/* A value in COPY's text format. */
void flush_add_value(struct buffer *text, const struct value *v);

#endif
