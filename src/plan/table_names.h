/* What exists already under a name that a table of the job needs: that of the new table, or that of the original after the swap. */
#ifndef PGRECAST_PLAN_TABLE_NAMES_H
#define PGRECAST_PLAN_TABLE_NAMES_H

#include "plan/plan.h"

/*
 * existing: the names of relations and types in the table's schema. Each thing that has a name of p->names is a reason to
 * refuse, with what removes it. An original that an ended job has kept is called that. False: the server could not be
 * asked.
 */
bool table_names_refuse(struct session *s, const struct plan *p, const struct string_list *existing,
                        const struct plan_options *options, struct string_list *reasons,
                        struct string_list *hints, struct error *err);

#endif
