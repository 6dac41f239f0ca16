/*
 * The cutover: one session, one transaction, one brief lock. Under ACCESS EXCLUSIVE on the originals it lets
 * the last changes be applied and checked, swaps the tables and commits; or it gives everything back and
 * tries again.
 *
 * Several tables are locked one after the other, in one order, and every second time in the other one: an
 * application that always comes to the last table first would otherwise never let go of it while it waits for
 * the first. Once one is locked, the others must be had in a moment.
 *
 * What a waiting lock does to others is bounded by its lock_timeout: whoever comes behind it waits as long at
 * most. Nothing is killed, but an autovacuum has to give way, before the locks are asked for. Refuses: a swap
 * while a transaction is open whose snapshot is older than the new table's rows.
 */
#ifndef PGRECAST_CUTOVER_CUTOVER_H
#define PGRECAST_CUTOVER_CUTOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "ddl/plan.h"
#include "pg/pipeline.h"
#include "pg/session.h"

/* What the cutover needs of the rest of the job. Each returns false with the error set. */
struct cutover_hooks {
    void *arg;
    bool (*prepare)(void *arg, struct error *err); /* before each attempt: lag and unchecked keys near none */
    /* The transaction is open and the lock is held: send for all that was committed before, and do not wait
     * for it. Whatever it returns, leave follows. */
    bool (*enter)(void *arg, struct error *err);
    bool (*drain)(void *arg, struct error *err); /* apply all that was committed before the lock */
    bool (*check)(void *arg, struct error *err); /* the last keys that were touched are equal */
    /* Run the swap's statements, and with them, in this transaction, what records it in the job's state. */
    bool (*record)(void *arg, struct pipeline *statements, struct error *err);
    bool (*leave)(void *arg, bool committed, struct error *err); /* the transaction is over */
};

struct cutover_request {
    int table_count;
    const struct plan *const *plans; /* of the tables, in the order in which they are locked */
    const oid_t *shadows;            /* theirs */
    const struct plan_swap *swap;
    struct session *session; /* the one the hooks apply with */
    const struct connection_options
        *connection;          /* to ask for the outcome of a commit whose answer was lost */
    uint64_t oldest_snapshot; /* full transaction id: snapshots whose xmin is older must be gone; 0: none */
    bool other_indexes;       /* those of the table that serves may have been changed */
    int lock_timeout_ms;
    int attempts;
    const struct cutover_hooks *hooks;
};

struct cutover_report {
    int attempts;
    double lock_wait_ms; /* of the attempt that succeeded */
    double lock_held_ms; /* from the grant of the first lock to the end of the commit */
};

/*
 * Swap, with retries. The point of no return is the COMMIT. On failure nothing was swapped: ERROR_LOCK when
 * the attempts are used up (the error names what was in the way), ERROR_PARITY when the check failed,
 * ERROR_FAILED for the rest.
 */
bool cutover_run(const struct cutover_request *request, struct cutover_report *report, struct error *err);

#endif
