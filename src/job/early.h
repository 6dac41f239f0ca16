/*
 * The views and materialized views that are created over the shadows before the cutover (plan_set.early).
 * Internal to the job.
 */
#ifndef PGRECAST_JOB_EARLY_H
#define PGRECAST_JOB_EARLY_H

#include "engine.h"
#include "pg/pipeline.h"

/* Enter them in the ledger, before the transaction that creates them. */
bool early_enter(struct engine *e, struct error *err);

/* Create them, without rows, in the open transaction of the control session. */
bool early_create(struct engine *e, struct error *err);

/*
 * Before a cutover: run the queries of the materialized views, each once, in a session of its own. Each query sees the new
 * tables at one position of the log; changes are applied while it runs. A view is filled again if the
 * one in use was refreshed since, or if this instance has not filled it. One that is not populated
 * in use will not be populated either.
 */
bool early_fill(struct engine *e, struct error *err);

/*
 * The check under the lock, as part of a pipeline: early_add() adds one query if early_is_checked(). ERROR_LOCK where a view was refreshed
 * since it was filled: the lock is given back, and the view is filled again.
 */
bool early_is_checked(const struct engine *e);
void early_add(struct engine *e, struct pipeline *p);
bool early_looked(struct engine *e, const struct result *res, struct error *err);

/* In the transaction of a swap: from now on the ledger would drop the other ones. */
void early_record(const struct engine *e, struct pipeline *p);

/* After a swap: what is filled is not known. */
void early_forget(struct engine *e);

#endif
