/*
 * Columns whose type the server does not change because a generated column reads them. On the clone the
 * generated column is made a plain one for the time being; at the end its expression is read again over the
 * columns as they are then.
 */
#ifndef PGRECAST_DDL_GENERATED_H
#define PGRECAST_DDL_GENERATED_H

#include "ddl/clone.h"

struct released {
    int count;
    int *attnums; /* of the clone */
};

/* Before the statement runs on the clone; oid is the clone's, as text. released may be NULL. */
bool generated_release(struct session *s, const char *clone_sql, const char *oid,
                       const struct statement *statement, struct released *released, struct error *err);

/* After the last: the columns of after are generated again. ERROR_REFUSED where an expression does not fit.
 */
bool generated_restore(struct session *s, const char *schema, const struct table *source, struct table *after,
                       const struct released *released, struct error *err);

#endif
