/*
 * The apply: change records from the spool to the shadow, in batches of whole source transactions, the last
 * image per key, position and effect in one transaction. Applying a change that the shadow already holds does
 * no harm.
 *
 * Three stretches of the log, by LSN (struct apply_bounds):
 *   up to .barrier    copied rows may be newer than the change at hand. Only the key index exists, so nothing
 * but the key can collide. up to .exact      every row in the shadow is right, but one that was changed
 * before its chunk was read is missing until its change is applied. A value that an update left unchanged
 * (TOAST) and that is not in the shadow is read from the source. after that        the shadow at LSN n equals
 * the source at LSN n; a missing row is an error.
 *
 * Refuses: guessing. A relation that no longer has the columns of the plan ends the job.
 */
#ifndef PGRECAST_APPLY_APPLY_H
#define PGRECAST_APPLY_APPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/lsn.h"
#include "ddl/plan.h"
#include "pg/pipeline.h"
#include "pg/session.h"
#include "spool/spool.h"

struct apply_bounds {
    lsn_t barrier; /* log position after the start barrier: all transactions older than x0 are over */
    lsn_t exact;   /* log position after the last chunk was read */
    /* up to here values that a change left unchanged are read from the source: an earlier process may have */
    lsn_t distrust;
};

/* Whose place it is in pgrecast.position: a job's, of its table of that number, from 1 on. */
struct apply_owner {
    int64_t job_id;
    int number;
};

struct apply_options {
    const struct plan *plan;
    struct session *session; /* of apply_session_open(); stays the caller's, and must outlive the apply */
    /* Sessions that help with large batches, where that is safe, and how to open them; 0: none. */
    int helpers;
    const struct connection_options *connection;
    struct spool *spool;
    struct apply_owner owner;
    int64_t instance; /* of pgrecast.position, 0: 1. When the row has another, this process was replaced */
    struct apply_bounds bounds;
    lsn_t after;       /* transactions that end at or before this are applied already */
    uint64_t skip_xid; /* a transaction (64 bit) whose changes are not applied, 0: none: that of the swap */
    bool set_aside;    /* rows that the shadow cannot take are set aside instead of ending the job */
};

struct apply;

/*
 * The session of all applies of a job, so that one transaction can hold what all of them write: that of a
 * swap. They take turns in one thread, each with its own place: while apply_is_inside() one of them, no other
 * may do anything.
 */
struct session *apply_session_open(const struct connection_options *connection, struct error *err);

struct apply *apply_open(const struct apply_options *options, struct error *err);
void apply_close(struct apply *a); /* NULL-safe */

/* It has a transaction open on the session: part of a large one of the source is written. */
bool apply_is_inside(const struct apply *a);

enum apply_outcome {
    APPLY_PROGRESS, /* a batch was committed */
    APPLY_IDLE,     /* nothing complete to apply now */
    APPLY_MARKER,   /* everything before a marker (and nothing after it) is applied; see apply_marker() */
    APPLY_LATE, /* the deadline has passed, perhaps inside a transaction: only apply_leave() with a rollback
                   helps */
    APPLY_FAILED,
};

/* Apply up to one batch. */
enum apply_outcome apply_step(struct apply *a, struct error *err);

/* Wait until there is more in the spool to read, at most ms milliseconds. */
void apply_wait(struct apply *a, int ms);

/*
 * Markers are logical messages with this prefix, whose content is "JOB_ID NUMBER", written by the program
 * itself: a place in the stream that it can wait for.
 */
#define APPLY_MARKER_PREFIX "pgrecast"
int64_t apply_marker(const struct apply *a); /* NUMBER of the last marker passed, 0 before the first */

lsn_t apply_lsn(const struct apply *a);        /* end of the last transaction applied */
uint64_t apply_changes(const struct apply *a); /* row changes applied, in this process */

/*
 * A place before which everything is applied and committed (without waiting for the disk of the server), and
 * nothing after it; it also moves over what does not concern the table, up to what the spool was told last.
 * While transactions are held back it stays before the first of them: then some after it are applied too, and
 * the row of the place says which. A successor does not apply them again.
 * What lies before .position is not needed again, as long as the server does not lose its latest commits in a
 * crash.
 */
struct apply_place {
    lsn_t lsn;
    struct spool_position position;
};
struct apply_place apply_place(const struct apply *a);

/*
 * Write the place into pgrecast.position where that is behind. Nothing to do inside a transaction, the
 * caller's too: true.
 */
bool apply_save(struct apply *a, struct error *err);

/*
 * With apply_options.set_aside: rows that the shadow cannot take (a value out of range, a unique value that
 * another row has) are entered into pgrecast.blocked, in the transaction of the batch, and the row that the
 * shadow has of that key stays as it is. Where a key was moved, both keys are. A later change of the key
 * tries again; so does apply_retry(), with the row as the source has it now (at apply_at_boundary() only,
 * else it does nothing; up to 1000 of them at a time, for about half a second). When it fails, the apply is
 * of no further use, as after APPLY_FAILED.
 *
 * A key that the source does not have then may have been moved by a change still to come, and the row that
 * the shadow has of it is what that change moves. It is left alone; a later apply_retry() that still does not
 * find it, behind a marker written after the first, deletes it. So every marker written must be passed before
 * apply_retry(), and whoever wants all such keys resolved calls it twice, with a marker in between.
 *
 * Hazard: a row whose key moved to one that does not fit loses its .kept values, if it comes to fit under
 * that key or another: only the row under the old key has them, and that is not known to be its own.
 */
int64_t apply_blocked(const struct apply *a);
bool apply_retry(struct apply *a, struct error *err);

int64_t apply_retried(const struct apply *a); /* rows that apply_retry() has tried, in this process */

/*
 * Another plan for the same two tables and keys (see plan_set_remap()), at apply_at_boundary() only. Place,
 * dirty set and rows set aside stay. What is written from now on is so by the new plan, which must live as
 * long as the apply. When it fails, the apply is of no further use.
 */
bool apply_set_plan(struct apply *a, const struct plan *plan, struct error *err);

/*
 * Write the rows of the dirty keys anew, as the source has them now: the first walk->left of them, from
 * walk->at on, up to 1000 at a time; walk->left is 0 at the end. They stay dirty. Rows set aside are left to
 * apply_retry(), those that the source no longer has to the stream. Other applying may come between two
 * calls, but nothing that takes keys out of the dirty set. Otherwise as apply_retry().
 */
struct apply_walk {
    size_t at;
    int64_t left; /* at first apply_dirty_count() */
};
bool apply_rewrite_dirty(struct apply *a, struct apply_walk *walk, struct error *err);

/* Some transactions after .after were applied by an earlier process: their keys are not in the dirty set. */
bool apply_is_ahead(const struct apply *a);

/* The dirty set of an apply that is about to be closed, for its successor of the same direction. */
struct dirty;
struct dirty *apply_take_dirty(struct apply *a);             /* the caller's from now on */
void apply_give_dirty(struct apply *a, struct dirty *dirty); /* the apply's from now on; NULL: none */
void dirty_free(struct dirty *dirty);                        /* NULL-safe */

/*
 * Hold back transactions that the snapshot (pg_current_snapshot() as text) does not see, until the next
 * marker; they are kept in the spool and applied by the first apply_step() after apply_release(). A
 * transaction seen cannot depend on one held back: a later writer of a row waits until the earlier one has
 * left the server's list of running transactions.
 */
enum apply_hold_outcome {
    HOLD_DONE,
    HOLD_TOO_EARLY, /* the snapshot does not see a transaction that is applied already: take a later one */
    HOLD_FAILED,
};
enum apply_hold_outcome apply_hold(struct apply *a, const char *snapshot, struct error *err);
void apply_release(struct apply *a);

/* Keys the apply touches are recorded from apply_dirty_start() on (which forgets those recorded so far): the
 * dirty set of the parity check. */
void apply_dirty_start(struct apply *a);
int64_t apply_dirty_count(const struct apply *a);
bool apply_dirty_truncated(const struct apply *a); /* a TRUNCATE came by: all keys are dirty */

/*
 * Take up to that many keys out of the dirty set and load them into the temporary table apply_keys_table()
 * (k1 … kN, the key's source types) of the session. Before the transaction's commit it is emptied by unload,
 * unless the session is of no use afterwards.
 */
const char *apply_keys_table(const struct apply *a); /* qualified */
bool apply_dirty_load(struct apply *a, int64_t most, struct error *err);
bool apply_dirty_unload(struct apply *a, struct error *err);

/* Put the keys of the last load back: the comparison did not come to an end. */
void apply_dirty_restore(struct apply *a);

/* Put a key back, or ask for one; values are one text per key column. */
void apply_dirty_add(struct apply *a, char *const *values);
bool apply_dirty_has(const struct apply *a, char *const *values);

/* The shadow was completed by other means up to this position: it is exact from there on. */
void apply_set_exact(struct apply *a, lsn_t exact);

/*
 * Between these two the caller's transaction is open on the session: apply_step() works inside it, commits
 * nothing, and does not write how far it has come: that apply_add_place() adds to the caller's last
 * statements, and apply_place_saved() fails where another instance has the job. leave with committed = false
 * after a rollback: the apply goes back to where it was at enter. Only where apply_at_boundary(): not in the
 * middle of a large transaction, nothing held back.
 */
bool apply_at_boundary(const struct apply *a);
bool apply_clear(struct apply *a, struct error *err); /* before: what would have to be cleared up inside */
void apply_enter(struct apply *a);
void apply_set_deadline(struct apply *a, int64_t clock_at_ms); /* between the two; by clock_ms(), 0: none */
void apply_add_place(struct apply *a, struct pipeline *p);
bool apply_place_saved(const struct result *res, struct error *err);
bool apply_leave(struct apply *a, bool committed, struct error *err);

#endif
