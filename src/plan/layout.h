/*
 * The order of the new table's columns, other than the one that ALTER TABLE would give. Everything else of a plan
 * finds columns by their names or by the numbers that they have in the clone, which stay.
 */
#ifndef PGRECAST_PLAN_LAYOUT_H
#define PGRECAST_PLAN_LAYOUT_H

#include "pg/session.h"
#include "plan_data/plan.h"

/*
 * --pack-columns: those of a fixed length come first, the widest alignment before the others, then those of
 * variable length. after: the clone with the statements run, which still exists. measure: look at some rows of
 * the table to say how much is saved. Adds a reason for each object that the order of the columns has a meaning
 * for.
 */
bool layout_pack(struct session *s, struct plan *p, struct table *after, bool measure,
                 struct string_list *notes, struct string_list *reasons, struct error *err);

/* Whether the target's columns have another order than ALTER TABLE would give. */
bool layout_is_changed(const struct table *target);

#endif
