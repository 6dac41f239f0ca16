/* An open apply: the state that its parts share. Internal to the apply. */
#ifndef PGRECAST_APPLY_STATE_H
#define PGRECAST_APPLY_STATE_H

#include "beyond.h"
#include "apply/apply.h"
#include "batch.h"
#include "blocked.h"
#include "dirty.h"
#include "flush.h"
#include "snapshot.h"
#include "xids.h"

struct apply_workers;

/* Transactions that are held back: their beginnings in the spool. */
struct held_list {
    int count;
    struct spool_position *begins;
    struct beyond beyond; /* .held: the commits of these transactions */
};

/* What the stream last said about the table. */
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
    struct state_table owner;
    lsn_t after;
    uint64_t skip_xid;
    struct apply_bounds bounds;

    struct flush flush;
    struct apply_workers *workers; /* NULL: none */
    struct batch batch;
    struct xid_list xids;      /* the transactions in the batch */
    struct xid_list unsettled; /* applied transactions that may still be invisible to a new snapshot */
    uint64_t xid_near;         /* a full transaction id near those in the stream */
    lsn_t batch_lsn;           /* commit record of the batch's first transaction */
    /* Number of transactions in the batch, including those that do not touch the table. */
    int transactions;
    uint64_t xid;        /* of the transaction that is read */
    bool touches;        /* the transaction that is read changes the table */
    int64_t deadline_ms; /* from apply_set_deadline(); 0: none */
    enum relation_state relation;

    /* A transaction of the apply's own is open on the session: part of a large transaction is written. */
    bool transaction_open;
    bool external;  /* the open transaction is the caller's */
    bool in_source; /* between BEGIN and COMMIT of the stream */
    bool skipping;  /* the transaction that is read is held back or must not be applied */
    lsn_t done;     /* end of the last transaction read */
    lsn_t applied;  /* end of the last transaction applied and committed on the server */
    uint64_t changes;
    int64_t marker;      /* number of the last marker passed */
    int64_t marker_seen; /* number of a marker in the transaction that is read */

    struct apply_position position;      /* returned by apply_position() */
    struct apply_position held_position; /* the position before the first transaction held back */
    struct apply_position inside;        /* the position once the caller's transaction is committed */
    lsn_t saved;                         /* the position in its row, or an earlier one */

    uint64_t changes_before; /* values at apply_enter() */
    lsn_t applied_before;
    lsn_t saved_before;

    struct beyond last; /* what the previous process has applied beyond .after */

    struct snapshot *visible; /* hold back the transactions that it does not see; NULL: none */
    struct held_list held;
    bool release; /* apply the held transactions now */

    bool set_aside;
    struct blocked blocked;
    size_t retry_most; /* keys that apply_retry() tries at a time; 0: not known yet */
    int64_t retried;   /* returned by apply_retried() */
    bool late;         /* the deadline has passed while rows were tried */

    struct dirty dirty;
};

#endif
