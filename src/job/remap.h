/* The maps that come with a rollback request change how values are converted back. */
#ifndef PGRECAST_JOB_REMAP_H
#define PGRECAST_JOB_REMAP_H

#include "engine.h"

/*
 * The maps that were given with a rollback request. remap_plan() plans with them and stores the plans, in the
 * state only; where it fails the result is NULL and nothing was changed. remap_enforce() puts the plans in
 * force: they become the engine's, the apply continues with them, rows that are not proven equal are written
 * again, and rows set aside are tried again. After its failure the stages cannot be used any more.
 */
struct plan_set *remap_plan(struct engine *e, struct error *err);
bool remap_enforce(struct engine *e, struct plan_set *made, struct error *err);

#endif
