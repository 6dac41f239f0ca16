/* By which columns a row is found: in the source, in the change stream and in the shadow. No I/O. */
#ifndef PGRECAST_ROWS_KEY_H
#define PGRECAST_ROWS_KEY_H

#include "plan_data/plan.h"
#include "rows/transform.h"

/*
 * Fill plan->key from the source's replica identity. The target's own columns are used if each of them keeps
 * its values, and keeps different values different; else hidden columns of the source's types.
 */
bool key_plan(struct plan *p, const struct transform *t, struct error *err);

/* The target's own unique index on exactly the key's columns, or NULL: then a temporary one is needed. */
const struct index *key_index(const struct plan *p);

/* Whether an index of a partitioned target begins with the key's columns, so that rows are found by it. */
bool key_leads_index(const struct plan *p);

/*
 * PostgreSQL 18: WITHOUT OVERLAPS. No two rows overlap, but a row cannot be found by equality of such a key.
 */
bool key_is_temporal(const struct table *t, const struct index *x);

/* CREATE UNIQUE INDEX for a key without an index: it compares as the source's index does. */
char *key_temporary_index(const struct plan *p, const char *name);

#endif
