/*
 * Rows of a migration tool's own table, which are changed in the transaction of the swap, and changed back in that of
 * the rollback. So a migration is noted as done exactly where the change is in force.
 */
#ifndef PGRECAST_PLAN_HISTORY_H
#define PGRECAST_PLAN_HISTORY_H

#include "parse/statement.h"
#include "plan/plan.h"

/* ERROR_USAGE if a table is neither one of a common tool nor named by --history-table. */
bool history_check(const struct history_list *list, const struct plan_options *options, struct error *err);

/*
 * Add the changes to the swaps of the set, which has its tables and swaps. They are tried, forward and back, and
 * undone again. ERROR_REFUSED for a change that would not change one row, for one that cannot be taken back, and if
 * code of a role that is not trusted would run.
 */
bool history_plan(struct session *s, const struct history_list *list, const struct plan_options *options,
                  struct plan_set *set, struct error *err);

#endif
