/* An apply under way: what its parts share. Internal to the apply. */
#ifndef PGRECAST_APPLY_STATE_H
#define PGRECAST_APPLY_STATE_H

#include "ahead.h"
#include "apply/apply.h"
#include "batch.h"
#include "blocked.h"
#include "crew.h"
#include "dirty.h"
#include "flush.h"
#include "snapshot.h"
#include "xids.h"

/* Transactions held back: where they begin. */
struct held_list {
    int count;
    struct spool_position *begins;
    struct ahead ahead; /* .held: theirs */
};

/* What the stream last said of the table. */
enum relation_state {
    RELATION_UNKNOWN,
    RELATION_FITS,
    RELATION_OTHER_COLUMNS,
    RELATION_OTHER_IDENTITY,
};

struct apply {
    const struct plan *plan;
    struct spool *spool;
    struct spool_reader *reader;
    struct session *session;
    struct apply_owner owner;
    int64_t instance;
    lsn_t after;
    uint64_t skip_xid;
    struct apply_bounds bounds;

    struct flush flush;
    struct crew *crew; /* NULL: none */
    struct batch batch;
    struct xid_list xids;      /* transactions in the batch */
    struct xid_list unsettled; /* applied, and not known to be visible to every new snapshot yet */
    uint64_t xid_near;         /* a full transaction id not far from those in the stream */
    lsn_t batch_lsn;           /* commit record of the batch's first transaction */
    int transactions;          /* in the batch, those that do not touch the table too */
    uint64_t xid;              /* of the transaction at hand */
    bool touches;              /* it changes the table */
    int64_t deadline_ms;       /* of apply_set_deadline(), 0: none */
    enum relation_state relation;

    bool transaction_open; /* on the session: part of a large transaction is written */
    bool external;         /* the transaction is the caller's */
    bool in_source;        /* between BEGIN and COMMIT of the stream */
    bool skipping;         /* that transaction is held back or not to be applied */
    lsn_t done;            /* end of the last transaction read */
    lsn_t applied;         /* … and committed on the server */
    uint64_t changes;
    int64_t marker;      /* passed */
    int64_t marker_seen; /* in the transaction being read */

    struct apply_place place;      /* of apply_place() */
    struct apply_place held_place; /* before the first transaction held back */
    struct apply_place inside;     /* … once the caller's transaction is committed */
    lsn_t saved;                   /* what pgrecast.position has, at least */

    uint64_t changes_before; /* what these were at apply_enter() */
    lsn_t applied_before;
    lsn_t saved_before;

    struct ahead last; /* what the process before this one has applied beyond .after */

    struct snapshot *visible; /* hold back what it does not see, or NULL */
    struct held_list held;
    bool release; /* apply the held ones now */

    bool set_aside;
    struct blocked blocked;
    size_t retry_most; /* keys that apply_retry() takes at a time, 0: not known yet */
    int64_t retried;   /* for apply_retried() */
    bool late;         /* the deadline has passed while rows were tried */

    struct dirty dirty;
};

/* One step, in the session's transaction or the caller's. */
enum apply_outcome step_read(struct apply *a, struct error *err);

/* The transactions held back, each read again from its place, then on from where the reader was. */
bool step_held(struct apply *a, struct error *err);

/* Open a transaction where none is. */
bool step_begin(struct apply *a, struct error *err);

/* Values read from the source may be newer than the stream's place: until that is passed, the shadow is not
 * exact. */
bool step_move_exact(struct apply *a, struct error *err);

/* Where the place will be once the open transaction is committed. Between two transactions of the stream. */
struct apply_place place_next(const struct apply *a);

/* Write it into pgrecast.position. Fails where another instance has the job. */
bool place_write(struct apply *a, lsn_t lsn, struct error *err);

/* Nothing is pending, and the reader came back empty. */
void place_idle(struct apply *a);

#endif
