/* All statements of the job for the shadow, in the order in which they run. No I/O. */
#ifndef PGRECAST_OBJECTS_SHADOW_H
#define PGRECAST_OBJECTS_SHADOW_H

#include "catalog/expressions.h"
#include "objects/restart.h"
#include "objects/swap_names.h"
#include "plan_data/plan.h"

/*
 * Fill plan->create, ->indexes, ->finish_shadow, ->swap and ->drop_old. relations and statistics: names in
 * use in the table's schema. uses: what the target's expressions use; the shadow's are compared with that
 * once they are created. x is filled too, to be freed by the caller.
 */
void shadow_plan(struct plan *p, const struct restart_list *restarts, const struct table_uses *uses,
                 struct string_list *relations, struct string_list *statistics, struct swap_names *x);

#endif
