/* Writing a batch to the shadow. Internal to the apply. */
#ifndef PGRECAST_APPLY_FLUSH_H
#define PGRECAST_APPLY_FLUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "batch.h"
#include "core/lsn.h"
#include "keyset.h"
#include "pg/session.h"
#include "statements.h"

/* What the rows already in the shadow are worth for this batch. */
enum flush_trust {
    TRUST_NEWER, /* they may be newer than the batch: values left unchanged only from the row of the same key
                  */
    TRUST_PARTIAL, /* right, but some are missing: values not found come from the source */
    TRUST_EXACT,   /* all there: a missing one is an error */
};

struct flush {
    const struct plan *plan;
    struct session *session;
    struct temp_tables temp;
    struct stream_columns columns;
    bool keeps_defaults; /* the shadow has columns whose values survive a rewrite of the row */
    bool overlay;        /* rows go to the overlay until flush_merge() */
    char *copy_stage;
    struct buffer text;

    const uint64_t *xids; /* of the batch at hand */
    int xid_count;
    bool awaited; /* they are visible */

    int staged;  /* rows in the temporary tables, about; 0: they are empty, that is certain */
    int deleted; /* from them since they had new storage */

    /* Rows that the source no longer has are deleted. With .left, by entry, only those whose .gone says so
     * (NULL: none); the others are left alone, and .left tells which. The caller's, until the next start. */
    const bool *gone;
    bool *left;

    /* set by a flush that read values from the source: those may be newer than the batch */
    bool filled;

    /*
     * Keys of the shadow's rows that have such values. They may even be another row's, that has had the key
     * since: a row that leaves values to one of these is read from the source as well, under its own key.
     * Until the stream has passed .distrusted_until, where all that was read has come.
     */
    struct keyset distrusted;
    lsn_t distrusted_until;
    bool *reread; /* by entry of the batch at hand */
};

/* number: of the table among those that share the session. in_parts: batches are written unit by unit,
 * perhaps. */
bool flush_open(struct flush *f, const struct plan *plan, int number, bool in_parts, struct session *s,
                struct error *err);
void flush_close(struct flush *f);

/* Remove the last batch's rows from the temporary tables. The next batch does it too. */
bool flush_clear(struct flush *f, struct error *err);

/* The temporary tables, before another of the same number is opened in the session. */
bool flush_drop(const struct flush *f, struct error *err);

/* Inside the caller's transaction, after flush_start(). */
bool flush_batch(struct flush *f, const struct batch *b, enum flush_trust trust, struct error *err);

/*
 * The same in parts, for who tries what goes: start (which closes the batch), truncate where the batch says
 * so, stage, then write as often as need be. unit_of: the unit of each entry; the base of an entry is of the
 * same one. units: those to be written, an array in SQL's text form, at FLUSH_SAVEPOINT, which is released
 * when they are written (the caller goes back to it when not); NULL: all, without. Errors are not redacted
 * yet.
 */
#define FLUSH_SAVEPOINT "SAVEPOINT pgrecast_units; SET CONSTRAINTS ALL IMMEDIATE"
#define FLUSH_RELEASE "RELEASE SAVEPOINT pgrecast_units"
#define FLUSH_GO_BACK "ROLLBACK TO SAVEPOINT pgrecast_units; " FLUSH_RELEASE
/* xids: the batch's transactions, 64 bit, awaited before the source is read. */
void flush_start(struct flush *f, struct batch *b, const uint64_t *xids, int xid_count);

/* The stream has got to place: what was read before it is as good as what came by it. */
void flush_passed(struct flush *f, lsn_t place);
bool flush_truncate(struct flush *f, struct error *err);
bool flush_stage(struct flush *f, const struct batch *b, enum flush_trust trust, const int *unit_of,
                 struct error *err);
bool flush_write(struct flush *f, const struct batch *b, enum flush_trust trust, const char *units,
                 struct error *err);

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
