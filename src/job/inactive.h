/*
 * Only the job writes the inactive tables. Their guard stops everybody else. Those who may turn the guard off
 * (the owner of a table, a superuser) leave a trace in the catalogs. Once such a trace is found, the tables
 * are not trusted (e->distrusted) until all rows have been compared. The same is done where only the partitions of an
 * active table were added, removed, truncated or rewritten (e->repartitioned): rows may have come or gone that are not in
 * the stream. Internal to the job.
 */
#ifndef PGRECAST_JOB_INACTIVE_H
#define PGRECAST_JOB_INACTIVE_H

#include "engine.h"
#include "pg/pipeline.h"
#include "state/guard.h"

/* The inactive table of a plan, for its guard. */
struct guarded inactive_guarded(const struct plan *plan);

/*
 * inactive_check() checks now, inactive_tick() every few seconds. A table that others could write is logged
 * and not trusted any more.
 */
bool inactive_check(struct engine *e, struct error *err);
bool inactive_tick(struct engine *e, struct error *err);

/*
 * For the transaction of a swap: add the check, which takes one result, then judge it. ERROR_LOCK where
 * others could write a table.
 */
void inactive_add(const struct engine *e, struct pipeline *p);
bool inactive_looked(const struct engine *e, const struct result *res, struct error *err);

/*
 * False, and ERROR_FAILED, where an active table has a partition whose changes do not all come through the stream, or that
 * has triggers which would run for the job's writes once it is inactive: one that others have added or changed, as they may.
 */
bool inactive_refuse_partitions(const struct engine *e, struct error *err);

/*
 * In the transaction that completes the new tables, before their definitions change, and with a lock that keeps
 * others from opening them: note that one was opened since its creation. inactive_seal() comes after the changes.
 */
bool inactive_lock(struct engine *e, struct error *err);
bool inactive_seal(struct engine *e, struct error *err);

/*
 * True, and ERROR_PARITY, where the tables are not trusted and have columns that no comparison can judge, because the active
 * table has no values for them.
 */
bool inactive_is_unjudged(const struct engine *e);
bool inactive_refuse_unjudged(const struct engine *e, struct error *err);

/*
 * Around a comparison of all rows, where tables are not trusted. The guards are set anew before it. After it
 * the tables are trusted again if nobody could write them since then, and all columns were compared; otherwise
 * e->distrusted stays.
 */
bool inactive_begin_proof(struct engine *e, struct error *err);
bool inactive_end_proof(struct engine *e, struct error *err);

#endif
