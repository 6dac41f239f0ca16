/* The renames of columns between two descriptions of one table, as statements that never collide. */
#ifndef PGRECAST_OBJECTS_RENAME_H
#define PGRECAST_OBJECTS_RENAME_H

#include "catalog/table.h"
#include "core/list.h"

/*
 * before: the columns of after get the names that they have in the source; after: their own names again.
 * table is qualified and quoted. Empty if no name differs.
 */
void renames_plan(const struct table *source, const struct table *after, const char *table,
                  struct string_list *to_before, struct string_list *to_after);

#endif
