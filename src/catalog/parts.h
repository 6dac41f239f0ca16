/*
 * The parts of a table, each read by one statement of src/sql into its array in struct table. What was read
 * so far stays in the struct when one fails; table_free() releases it.
 */
#ifndef PGRECAST_CATALOG_PARTS_H
#define PGRECAST_CATALOG_PARTS_H

#include "catalog/table.h"

bool columns_read(struct session *s, struct table *t, struct error *err);
bool sequences_read(struct session *s, struct table *t, struct error *err);
bool constraints_read(struct session *s, struct table *t, struct error *err);
bool indexes_read(struct session *s, struct table *t, struct error *err);
bool statistics_read(struct session *s, struct table *t, struct error *err);
bool grants_read(struct session *s, struct table *t, struct error *err);
bool dependents_read(struct session *s, struct table *t, struct error *err);

#endif
