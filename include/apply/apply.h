/*
 * The apply: brings change records from the spool to the shadow. A batch has whole source transactions. Of
 * each key it writes only the last image. The rows and the position are written in one transaction. To apply
 * a change that the shadow already holds does no harm.
 *
 * Three stretches of the log, by LSN (struct apply_bounds):
 *   up to .barrier    copied rows may be newer than the change that is applied. Only the key index exists, so
 *                     nothing but the key can collide.
 *   up to .exact      every row in the shadow is right, but a row that was changed before its chunk was read
 *                     is missing until its change is applied. A value that an update left unchanged (TOAST)
 *                     and that is not in the shadow is read from the source.
 *   after that        the shadow at LSN n equals the source at LSN n; a missing row is an error.
 *
 * Refuses to guess: a relation that no longer has the columns of the plan ends the job.
 */
#ifndef PGRECAST_APPLY_APPLY_H
#define PGRECAST_APPLY_APPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/lsn.h"
#include "plan_data/plan.h"
#include "pg/pipeline.h"
#include "pg/session.h"
#include "spool/spool.h"
#include "state/position.h"

struct apply_bounds {
    /* Log position after the start barrier: all transactions older than x0 have ended before it. */
    lsn_t barrier;
    lsn_t exact; /* log position after the last chunk was read */
    /*
     * Up to here values that a change left unchanged are read from the source, because an earlier process may
     * have applied later changes.
     */
    lsn_t distrust;
};

struct apply_options {
    const struct plan *plan;
    /* From apply_session_open(); it remains the caller's, and must outlive the apply. */
    struct session *session;
    /*
     * Apply workers: sessions that help with large batches, where that is safe, and how to open them. 0:
     * none.
     */
    int workers;
    const struct connection_options *connection;
    struct spool *spool;
    /* Owner of the position; if the row has another instance, this process was replaced. */
    struct state_table owner;
    struct apply_bounds bounds;
    lsn_t after;       /* transactions that end at or before this are applied already */
    uint64_t skip_xid; /* a transaction (64 bit) whose changes are not applied: that of the swap; 0: none */
    bool set_aside;    /* rows that the shadow cannot hold are set aside; otherwise they end the job */
};

struct apply;

/*
 * Opens the session that all applies of a job share, so that one transaction, that of a swap, can hold what
 * all of them write. The applies take turns in one thread, each with its own position. While
 * apply_is_inside() is true for one of them, no other may use the session.
 */
struct session *apply_session_open(const struct connection_options *connection, int64_t job_id,
                                   struct error *err);

struct apply *apply_open(const struct apply_options *options, struct error *err);
void apply_close(struct apply *a); /* NULL-safe */

/*
 * True while the apply has a transaction open on the session, because it has written part of a large source
 * transaction.
 */
bool apply_is_inside(const struct apply *a);

enum apply_outcome {
    APPLY_PROGRESS, /* a batch was committed */
    APPLY_IDLE,     /* no complete transaction is left to apply now */
    APPLY_MARKER,   /* everything before a marker is applied, and nothing after it; see apply_marker() */
    /*
     * The deadline has passed, perhaps inside a transaction; the only way to continue is apply_leave() after
     * a rollback.
     */
    APPLY_LATE,
    APPLY_FAILED,
};

/* Apply up to one batch. */
enum apply_outcome apply_step(struct apply *a, struct error *err);

/* Wait until there is more in the spool to read, at most ms milliseconds. */
void apply_wait(struct apply *a, int ms);

/*
 * A marker is a logical message with this prefix and the content "JOB_ID NUMBER". The program writes it
 * itself, as a point in the stream that it can wait for.
 */
#define APPLY_MARKER_PREFIX "pgrecast"
int64_t apply_marker(const struct apply *a); /* NUMBER of the last marker passed; 0: none yet */

lsn_t apply_lsn(const struct apply *a);        /* end of the last transaction applied */
uint64_t apply_changes(const struct apply *a); /* row changes applied by this process */

/*
 * Everything before the position is applied and committed (without waiting for the disk of the server), and
 * nothing after it. It also moves past changes that do not concern the table, up to the position that the
 * spool has received last. While transactions are held back it stays before the first of them. Then some
 * transactions after it are applied too; the row of the position names them, and a successor does not apply
 * them again. What lies before .spool is not needed again, unless the server loses its latest commits in a
 * crash.
 */
struct apply_position {
    lsn_t lsn;
    struct spool_position spool;
};
struct apply_position apply_position(const struct apply *a);

/*
 * Write the position if its row is behind. Inside a transaction, also the caller's, it does nothing and
 * returns true.
 */
bool apply_save(struct apply *a, struct error *err);

/*
 * With apply_options.set_aside: rows that the shadow cannot hold (a value out of range, a unique value that
 * another row has) are entered into the state, in the transaction of the batch. The row that the shadow has
 * of that key stays as it is. Where a change has moved a key, the old and the new key are both entered. A
 * later change of the key tries the row again. So does apply_retry(), with the row as the source has it now.
 * apply_retry() works only where apply_at_boundary(), and otherwise does nothing; it tries up to 1000 rows at
 * a time, for about half a second. After its failure the apply cannot be used any more, as after
 * APPLY_FAILED.
 *
 * The source may not have the key at that time. Then a change that is still to come may have moved the row,
 * and that change needs the row that the shadow has under the old key. So this row is left alone. A later
 * apply_retry(), behind a marker written after the first one, deletes the row if the source still does not
 * have the key. So every marker that was written must be passed before apply_retry(). To resolve all such
 * keys, call it twice, with a marker in between.
 *
 * Hazard: when a row moves to a key that cannot be written, and the row can be written later under that key
 * or another, it loses its .kept values. Only the row under the old key has them, and it is not known whether
 * that is the same row.
 */
int64_t apply_blocked(const struct apply *a);
bool apply_retry(struct apply *a, struct error *err);

int64_t apply_retried(const struct apply *a); /* rows that apply_retry() has tried in this process */

/*
 * Use another plan for the same two tables and keys (see plan_set_remap()), only where apply_at_boundary().
 * Position, dirty set and rows set aside stay. From now on rows are written by the new plan, which must live
 * as long as the apply. After a failure the apply cannot be used any more.
 */
bool apply_set_plan(struct apply *a, const struct plan *plan, struct error *err);

/*
 * Write the rows of the dirty keys again, as the source has them now: up to 1000 at a time, of the next
 * walk->left keys from walk->at on; walk->left is 0 at the end. The keys stay dirty. Rows set aside are left
 * to apply_retry(). Rows that the source no longer has are left to the stream. Changes may be applied between
 * two calls, but no keys may be taken out of the dirty set. In all else as apply_retry().
 */
struct apply_walk {
    size_t at;
    int64_t left; /* at the beginning apply_dirty_count() */
};
bool apply_rewrite_dirty(struct apply *a, struct apply_walk *walk, struct error *err);

/* Some transactions after .after were applied by an earlier process; their keys are not in the dirty set. */
bool apply_has_beyond(const struct apply *a);

/* The dirty set of an apply that will be closed, for its successor of the same direction. */
struct dirty;
struct dirty *apply_take_dirty(struct apply *a); /* the caller owns the result */
/* The apply owns dirty from now on; NULL: none. */
void apply_give_dirty(struct apply *a, struct dirty *dirty);
void dirty_free(struct dirty *dirty); /* NULL-safe */

/*
 * Hold back transactions that the snapshot (pg_current_snapshot() as text) does not see, until the next
 * marker. They stay in the spool, and the first apply_step() after apply_release() applies them. A
 * transaction that the snapshot sees cannot depend on one that is held back: a later writer of a row waits
 * until the earlier one has left the server's list of running transactions.
 */
enum apply_hold_outcome {
    HOLD_DONE,
    HOLD_TOO_EARLY, /* a transaction that is applied already is not seen by the snapshot: take a later one */
    HOLD_FAILED,
};
enum apply_hold_outcome apply_hold(struct apply *a, const char *snapshot, struct error *err);
void apply_release(struct apply *a);

/*
 * From apply_dirty_start() on, which also empties the set, the keys that the apply touches are recorded: the
 * dirty set of the parity check.
 */
void apply_dirty_start(struct apply *a);
int64_t apply_dirty_count(const struct apply *a);
bool apply_dirty_truncated(const struct apply *a); /* a TRUNCATE was applied: all keys are dirty */

/*
 * Take up to that many keys out of the dirty set and load them into the temporary table apply_keys_table()
 * (k1 … kN, in the types of the source's key) of the session. Before the transaction commits, the unload
 * function must empty that table, unless the session will not be used again.
 */
const char *apply_keys_table(const struct apply *a); /* the qualified name */
bool apply_dirty_load(struct apply *a, int64_t most, struct error *err);
bool apply_dirty_unload(struct apply *a, struct error *err);

/* Put the keys of the last load back into the dirty set, because their comparison was not completed. */
void apply_dirty_restore(struct apply *a);

/* Add a key to the dirty set, or ask whether it is there. values: one text for each key column. */
void apply_dirty_add(struct apply *a, char *const *values);
bool apply_dirty_has(const struct apply *a, char *const *values);

/* The shadow was completed by other means up to this position, and is exact after it. */
void apply_set_exact(struct apply *a, lsn_t exact);

/*
 * Between apply_enter() and apply_leave() the caller's transaction is open on the session. apply_step() works
 * inside it and commits nothing. It does not write the position: apply_add_position() adds that to the
 * caller's last statements, and apply_position_saved() fails where another instance has the job. Call
 * apply_leave() with committed = false after a rollback: the apply returns to where it was at apply_enter().
 * apply_enter() is allowed only where apply_at_boundary(): not in the middle of a large transaction, and
 * while nothing is held back.
 */
bool apply_at_boundary(const struct apply *a);
/* Called before: does what would otherwise have to be cleaned up inside. */
bool apply_clear(struct apply *a, struct error *err);
void apply_enter(struct apply *a);
/* To be called between the two; by clock_ms(), 0: none. */
void apply_set_deadline(struct apply *a, int64_t clock_at_ms);
void apply_add_position(struct apply *a, struct pipeline *p);
bool apply_position_saved(const struct result *res, struct error *err);
bool apply_leave(struct apply *a, bool committed, struct error *err);

#endif
