/*
 * Reads some rows to see whether stored generated columns hold what their expressions give now. The new table
 * gets what they give now, and a job refuses before the cutover if that is another value. The result is only
 * a warning, because the other rows are not known. Takes two seconds at most.
 */
#ifndef PGRECAST_PLAN_SAMPLE_H
#define PGRECAST_PLAN_SAMPLE_H

#include "pg/session.h"
#include "plan_data/plan.h"

/*
 * Runs in the session's open transaction. Notes go to the plan's advice. False only if the session is lost.
 */
bool sample_generated(struct session *s, struct plan *p, struct error *err);

#endif
