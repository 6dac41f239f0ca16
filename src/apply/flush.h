/* Writes a batch to the shadow. Internal to the apply. */
#ifndef PGRECAST_APPLY_FLUSH_H
#define PGRECAST_APPLY_FLUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "batch.h"
#include "core/lsn.h"
#include "keyset.h"
#include "pg/session.h"
#include "statements.h"

/* How far the rows already in the shadow can be trusted for this batch. */
enum flush_trust {
    /* They may be newer than the batch: values left unchanged are taken only from the row of the same key. */
    TRUST_NEWER,
    TRUST_PARTIAL, /* they are right, but some are missing: values that are not found come from the source */
    TRUST_EXACT,   /* they are complete and right: a missing row is an error */
};

struct flush {
    const struct plan *plan;
    struct session *session;
    struct temp_tables temp;
    struct stream_columns columns;
    bool keeps_defaults; /* the shadow has columns whose values must survive when a row is written again */
    bool overlay;        /* rows are written to the overlay until flush_merge() */
    char *copy_stage;
    struct buffer text;

    const uint64_t *xids; /* the transactions of the current batch */
    int xid_count;
    bool awaited; /* these transactions are known to be visible */

    int staged;  /* approximate number of rows in the temporary tables; 0: they are certainly empty */
    int deleted; /* rows deleted from them since they got new storage */

    /*
     * Rows that the source no longer has are deleted. If .left is set (by entry), only those rows whose .gone
     * is true are deleted (.gone NULL: none); the others are left alone, and .left gets which. The caller
     * owns both, until the next start.
     */
    const bool *gone;
    bool *left;

    const bool *left_out; /* by entry: do not stage it; NULL: none */

    /* Set by a flush that read values from the source: those may be newer than the batch. */
    bool filled;

    /*
     * Keys of the shadow's rows that have such values. The values may even be of another row that has taken
     * the key since. So a row that takes unchanged values from one of these rows is read from the source as
     * well, under its own key. The set is valid until the stream has passed .distrusted_until, because all
     * that was read has then been received.
     */
    struct keyset distrusted;
    lsn_t distrusted_until;
    bool *reread; /* by entry of the current batch: all its values are read from the source */
};

/*
 * number: distinguishes the tables that share the session. in_parts: batches may be written group by group.
 */
bool flush_open(struct flush *f, const struct plan *plan, int number, bool in_parts, struct session *s,
                struct error *err);
void flush_close(struct flush *f);

/*
 * Remove the rows of the last batch from the temporary tables. The next batch does it too, if it was not
 * done.
 */
bool flush_clear(struct flush *f, struct error *err);

/* Drop the temporary tables, before others of the same number are created in the session. */
bool flush_drop(const struct flush *f, struct error *err);

/* Write the batch inside the caller's transaction, after flush_start(). */
bool flush_batch(struct flush *f, const struct batch *b, enum flush_trust trust, struct error *err);

/*
 * The same in steps, to find out what can be written. flush_start() closes the batch; truncate where the
 * batch has a TRUNCATE; stage; then write as often as needed. group_of: the group of each entry; an entry and
 * its base are in the same group. groups: the groups to write, an array in SQL's text form. They are written
 * behind FLUSH_SAVEPOINT, which is released after success; after a failure the caller rolls back to it.
 * groups NULL: write all, without a savepoint. Errors are not redacted yet.
 */
#define FLUSH_SAVEPOINT "SAVEPOINT pgrecast_groups; SET CONSTRAINTS ALL IMMEDIATE"
#define FLUSH_RELEASE "RELEASE SAVEPOINT pgrecast_groups"
#define FLUSH_GO_BACK "ROLLBACK TO SAVEPOINT pgrecast_groups; " FLUSH_RELEASE
/* xids: the batch's transactions, 64 bit. They must be visible before the source is read. */
void flush_start(struct flush *f, struct batch *b, const uint64_t *xids, int xid_count);

/* The stream has reached position: what was read from the source before it has been received too. */
void flush_passed(struct flush *f, lsn_t position);
bool flush_truncate(struct flush *f, struct error *err);
bool flush_stage(struct flush *f, const struct batch *b, enum flush_trust trust, const int *group_of,
                 struct error *err);
bool flush_write(struct flush *f, const struct batch *b, enum flush_trust trust, const char *groups,
                 struct error *err);

/*
 * Whether the stage can hold the batch, except for the entries left out. STAGE_FAILS: it cannot hold a row's
 * values, and failure says why. Afterwards the stage is as before. In the caller's transaction.
 */
enum stage_outcome {
    STAGE_FITS,
    STAGE_FAILS,
    STAGE_ERROR,
};
enum stage_outcome flush_try_stage(struct flush *f, const struct batch *b, const bool *left_out,
                                   struct error *failure, struct error *err);

/*
 * Fill the empty stage with the batch, except for the entries in .left_out. group_of: the group of each
 * entry, or NULL.
 */
bool flush_fill_stage(struct flush *f, const struct batch *b, const int *group_of, struct error *err);

/* The qualified name of the table to which rows are written: the shadow or the overlay. */
const char *flush_target(const struct flush *f);

/* From now on rows are written to the overlay, until flush_merge() or the end of the transaction. */
bool flush_overlay(struct flush *f, struct error *err);

/* Move the overlay's rows back to the shadow. */
bool flush_merge(struct flush *f, struct error *err);

/* To be called after each commit or rollback: the overlay is gone. */
void flush_transaction_ended(struct flush *f);

/* Add a value in COPY's text format. */
void flush_add_value(struct buffer *text, const struct value *v);

#endif
