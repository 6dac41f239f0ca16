/* One clause of an ALTER TABLE: what it takes on a plain server, and whether it can be carried out here. */
#ifndef PGRECAST_DDL_CLAUSE_H
#define PGRECAST_DDL_CLAUSE_H

#include "ddl/statement.h"
#include "ddl/tree.h"

/* Fill what the tree says of the clause: column, lock, restarts, columns of a USING. .text is set by the
 * caller. */
void clause_describe(struct clause *clause, const PgQuery__AlterTableCmd *cmd, const char *table);

/* False with the reason and the way out where the clause is refused. */
bool clause_allowed(const PgQuery__AlterTableCmd *cmd, const char *text, struct error *err);

#endif
