/* The renames of columns between two descriptions of one table, as statements that never collide. */
#ifndef PGRECAST_DDL_RENAME_H
#define PGRECAST_DDL_RENAME_H

#include "ddl/plan.h"

/*
 * before: the columns of after get the names they have in the source; after: their own again. table is
 * qualified and quoted. Nothing where no name differs.
 */
void renames_plan(const struct table *source, const struct table *after, const char *table,
                  struct string_list *to_before, struct string_list *to_after);

#endif
