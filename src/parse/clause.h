/* One clause of an ALTER TABLE: what it does on a plain server, and whether it can be carried out here. */
#ifndef PGRECAST_PARSE_CLAUSE_H
#define PGRECAST_PARSE_CLAUSE_H

#include "parse/statement.h"
#include "tree.h"

/*
 * Fill what the tree says of the clause: column, lock, restarts, columns of a USING. The caller sets .text.
 */
void clause_describe(struct clause *clause, const PgQuery__AlterTableCmd *cmd, const char *table);

/* The same for one SET of a backfill. */
void clause_backfill(struct clause *clause, const PgQuery__ResTarget *target, const char *table);

/* False if the clause is refused, with the reason and what to do instead. */
bool clause_allowed(const PgQuery__AlterTableCmd *cmd, const char *text, struct error *err);

#endif
