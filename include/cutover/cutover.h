/*
 * The cutover: one session, one transaction, one brief lock. Under ACCESS EXCLUSIVE on the originals it lets
 * the last changes be applied and checked, swaps the tables and commits. If that fails, it releases
 * everything and tries again.
 *
 * Several tables are locked one after the other, in one order, and in every second attempt in the opposite
 * order.
 * Otherwise an application that always uses the last table first would keep its lock there while it waits for
 * the
 * first table, in every attempt. Once one table is locked, the locks of the others must be granted within a
 * moment.
 *
 * A lock request that waits blocks the sessions behind it; its lock_timeout limits how long. No session is
 * killed, but an
 * autovacuum has to give way before the locks are requested. Refuses a swap while a transaction is open whose
 * snapshot
 * is older than the new table's rows.
 */
#ifndef PGRECAST_CUTOVER_CUTOVER_H
#define PGRECAST_CUTOVER_CUTOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "plan_data/plan.h"
#include "pg/pipeline.h"
#include "pg/session.h"

/* What the cutover needs from the rest of the job. Each function returns false with the error set. */
struct cutover_hooks {
    void *arg;
    /* Before each attempt: make the lag and the number of unchecked keys small. */
    bool (*prepare)(void *arg, struct error *err);
    /*
     * The transaction is open and the lock is held. Send a marker, which follows everything that was
     * committed before, and do not wait for the answer. leave is called after it, also when it fails.
     */
    bool (*enter)(void *arg, struct error *err);
    /*
     * look adds further queries to the check under the lock; looked judges their results, from the first of
     * them on.
     */
    void (*look)(void *arg, struct pipeline *look);
    bool (*looked)(void *arg, const struct pipeline *look, int first, struct error *err);
    bool (*drain)(void *arg, struct error *err); /* apply everything that was committed before the lock */
    bool (*check)(void *arg, struct error *err); /* check that the keys touched last are equal */
    /*
     * Run the swap's statements, and in the same transaction those that record the swap in the job's state.
     */
    bool (*record)(void *arg, struct pipeline *statements, struct error *err);
    /*
     * Whether the record of that transaction's swap exists, for the case that the answer to its COMMIT was
     * lost. s is a new session.
     */
    bool (*is_recorded)(void *arg, struct session *s, uint64_t xid, bool *recorded, struct error *err);
    bool (*leave)(void *arg, bool committed, struct error *err); /* the transaction has ended */
    /* An attempt has failed and another follows: its number, and what was in the way. */
    void (*given_up)(void *arg, int attempt, const struct error *why);
    /* What an attempt waits for before it requests a lock: see waits_declare() of the job. NULL: nobody wants to know. */
    void (*waits)(void *arg, const char *kind, const char *text);
};

struct cutover_request {
    const char *name; /* of the swap, in messages: "cutover" or "rollback" */
    int table_count;
    const struct plan *const *plans; /* of the job's tables, in the order in which they are locked */
    const oid_t *shadows;            /* of the same tables */
    const struct plan_swap *swap;
    struct session *session; /* the session with which the hooks apply */
    /* To ask for the outcome of a commit whose answer was lost. */
    const struct connection_options *connection;
    /* Full transaction id: transactions whose snapshot has an older xmin must have ended; 0: none. */
    uint64_t oldest_snapshot;
    int lock_timeout_ms;
    int attempts;
    const struct cutover_hooks *hooks;
};

struct cutover_report {
    /* Attempts that requested locks, or could not because another session was in the way. */
    int attempts;
    double lock_wait_ms; /* of the successful attempt */
    double lock_held_ms; /* from the grant of the first lock to the end of the commit */
    /* For all failed attempts together: from the grant of the first lock to the release. */
    double held_in_vain_ms;
};

/*
 * Swap, with retries. The point of no return is the COMMIT. On failure nothing was swapped: ERROR_LOCK when
 * all attempts have failed to get the locks (the error names what was in the way), ERROR_PARITY when the
 * check failed, ERROR_FAILED otherwise.
 */
bool cutover_run(const struct cutover_request *request, struct cutover_report *report, struct error *err);

#endif
