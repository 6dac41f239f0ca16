/*
 * What a swap writes about the job, in its own transaction and in its one round trip: that there is one more
 * swap, which table is active from now on, and which table the ledger would drop. So there is no moment at
 * which the tables are swapped and the job does not know it.
 */
#ifndef PGRECAST_STATE_SWAP_H
#define PGRECAST_STATE_SWAP_H

#include "pg/pipeline.h"
#include "state/job.h"

/* Prepare the statements in the session, before the lock is taken. */
bool state_swap_prepare(struct session *s, struct error *err);

/*
 * Count one more swap, and enter that phase. window_s: seconds until the rollback window ends; negative: it
 * has no end. requests: the ids of the requests that the swap carries out, an array in SQL's text form.
 */
void state_swap_add(struct pipeline *p, const struct job_state *job, enum job_phase phase, double window_s,
                    const char *requests);
bool state_swap_saved(const struct result *res,
                      /* res: of the first statement; refused to an instance that was replaced. */
                      struct error *err);

/* Whether that transaction (full transaction id) has made the last swap of the job. */
bool state_swap_is_recorded(struct session *s, const struct job_state *job, uint64_t xid, bool *recorded,
                            struct error *err);

/*
 * Store the definitions that the tables which are active from now on ("{oid,...}") have in this transaction.
 * own: ledger_own().
 */
void state_swap_add_active(struct pipeline *p, const struct job_state *job, const char *oids,
                           const char *own);

/*
 * Store the versions of the rows in the catalogs of the tables that are inactive from now on ("{oid,...}"),
 * as this transaction leaves them.
 */
void state_swap_add_versions(struct pipeline *p, const struct job_state *job, const char *oids);

/*
 * For one table: the ledger would drop the table with that oid and name from now on, and not the one before.
 */
void state_swap_add_other(struct pipeline *p, const struct job_state *job, uint32_t before, uint32_t after,
                          const char *name);

/*
 * For one view whose name the swap has exchanged: the ledger would drop the one that is called after from now on, and not the
 * one that was called before.
 */
void state_swap_add_view(struct pipeline *p, const struct job_state *job, const char *before,
                         const char *after);

#endif
