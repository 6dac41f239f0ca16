/* Every statement of the job for the shadow, in the order they run. No I/O. */
#ifndef PGRECAST_DDL_SHADOW_H
#define PGRECAST_DDL_SHADOW_H

#include "ddl/clone.h"
#include "ddl/exchange.h"
#include "ddl/plan.h"

/*
 * Fill plan->create, ->indexes, ->finish_shadow, ->swap, ->drop_old and ->drop_shadow. relations and
 * statistics: names in the table's schema that are taken. x is filled too, to be freed by the caller.
 */
void shadow_plan(struct plan *p, const struct clone_result *clone, struct string_list *relations,
                 struct string_list *statistics, struct exchange *x);

#endif
