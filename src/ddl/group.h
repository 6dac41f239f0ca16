/* Which tables the user's statements are about, and which statements each of them takes. */
#ifndef PGRECAST_DDL_GROUP_H
#define PGRECAST_DDL_GROUP_H

#include "ddl/plan.h"

struct table_group {
    oid_t oid;
    char *schema;
    char *name;
    char *sql; /* its statements, in the order they were typed; NULL for a rebuild */
};

struct table_groups {
    int count;
    struct table_group *items; /* the one that was named first comes first */
};

/*
 * Reads names only. A statement that names nothing that exists (an index that the one before it makes) goes
 * with the statement before it. ERROR_USAGE for a statement about two tables.
 */
bool groups_read(struct session *s, const struct plan_options *options, struct table_groups *groups,
                 struct error *err);
void groups_free(struct table_groups *groups);

#endif
