/*
 * The parts of a table. Each is read by one statement of src/sql into its array in struct table. If one of
 * them fails, what was read until then stays in the struct; table_free() releases it.
 */
#ifndef PGRECAST_CATALOG_PARTS_H
#define PGRECAST_CATALOG_PARTS_H

#include "catalog/table.h"

bool columns_read(struct session *s, struct table *t, struct error *err);
bool sequences_read(struct session *s, struct table *t, struct error *err);
bool constraints_read(struct session *s, struct table *t, struct error *err);
bool indexes_read(struct session *s, struct table *t, struct error *err);
bool statistics_read(struct session *s, struct table *t, struct error *err);
bool partitions_read(struct session *s, struct table *t, struct error *err);
bool grants_read(struct session *s, struct table *t, struct error *err);
bool foreign_keys_read(struct session *s, struct table *t, struct error *err);
bool dependents_read(struct session *s, struct table *t, struct error *err);

/* A query with the table's oid as its only parameter. */
bool part_query(struct session *s, const struct table *t, const char *sql, struct result *r,
                struct error *err);

/*
 * Fields of its rows, by the names of their columns. The letter of a "char" is '\0' if it is empty; of a list
 * of numbers, "1 5 2", the count is given.
 */
char part_letter(const struct result *r, int row, const char *column);
oid_t part_oid(const struct result *r, int row, const char *column);
int part_numbers(const char *text, int **numbers);

#endif
