/* What the user should know beforehand, although it is no reason to refuse. */
#ifndef PGRECAST_PLAN_ADVICE_H
#define PGRECAST_PLAN_ADVICE_H

#include "plan_data/plan.h"
#include "clone.h"

/* Add to clone->notes. To be called in the transaction of clone_run(). */
bool advice_add(struct session *s, const struct plan *p, struct clone_result *clone, struct error *err);

#endif
