/*
 * Columns whose type the server does not change because a generated column reads them. On the clone the
 * generated column is made a plain one until the statements have run. After that its expression is read again
 * over the columns as they are then.
 */
#ifndef PGRECAST_OBJECTS_GENERATED_H
#define PGRECAST_OBJECTS_GENERATED_H

#include <stdbool.h>

#include "catalog/expressions.h"
#include "catalog/table.h"
#include "core/error.h"
#include "parse/statement.h"
#include "pg/session.h"

struct released {
    int count;
    int *attnums; /* of the clone */
};

/* To be called before the statement runs on the clone; oid is the clone's, as text. released may be NULL. */
bool generated_release(struct session *s, const char *clone_sql, const char *oid,
                       const struct statement *statement, struct released *released, struct error *err);

/*
 * To be called after the last statement: the columns of after become generated again. What their expressions
 * use is added to uses. ERROR_REFUSED if an expression does not fit, or would not mean the same.
 */
bool generated_restore(struct session *s, const char *schema, const struct table *source, struct table *after,
                       const struct released *released, struct table_uses *uses, struct error *err);

#endif
