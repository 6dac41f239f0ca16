/*
 * --where: only the rows that match are kept in the new table. The expression must be one that the server takes as
 * the predicate of an index: immutable, over the row's own columns, without sub-selects.
 */
#ifndef PGRECAST_PLAN_WHERE_H
#define PGRECAST_PLAN_WHERE_H

#include "pg/session.h"
#include "plan/plan.h"

/*
 * Read the filter, and set p->filter and p->filter_columns. It is read over an empty table like the source, in the
 * schema scratch, which is made here; the caller rolls back. Adds to reasons what does not go with a filter.
 * ERROR_USAGE or ERROR_REFUSED for an expression that is no filter.
 */
bool where_read(struct session *s, struct plan *p, const struct plan_options *options, const char *scratch,
                struct string_list *notes, struct string_list *reasons, struct error *err);

/* A note of how many rows would be left out, by a look at some of them. */
bool where_sample(struct session *s, struct plan *p, struct error *err);

#endif
