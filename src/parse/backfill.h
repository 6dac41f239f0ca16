/*
 * A backfill: UPDATE t SET c = expression, without a condition, for a column that the statements before it have
 * added. In a job it means the same as ALTER COLUMN c TYPE its-type USING (expression).
 */
#ifndef PGRECAST_PARSE_BACKFILL_H
#define PGRECAST_PARSE_BACKFILL_H

#include "parsing.h"

/* ADD COLUMN, whose tokens end before last: remember the column and its type in the clause. */
void backfill_note_column(const struct parse *p, const PgQuery__ColumnDef *column, int last,
                          struct clause *clause);

/* False (ERROR_USAGE) for an UPDATE that is no such backfill. */
bool backfill_parse(struct parse *p, struct statement_list *list, const PgQuery__UpdateStmt *tree,
                    const struct span *span);

#endif
