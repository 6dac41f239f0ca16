/* Which tables the user's statements are about, and which statements each of them takes. */
#ifndef PGRECAST_PLAN_GROUP_H
#define PGRECAST_PLAN_GROUP_H

#include "parse/statement.h"
#include "plan/plan.h"

struct table_group {
    oid_t oid;
    char *schema;
    char *name;
    char *sql; /* its statements, in the order they were typed; NULL for a rebuild */
};

struct table_groups {
    int count;
    char *search_path;          /* that the SQL sets; the session uses it from now on */
    struct string_list ignored; /* statements that are passed over (parse/statement.h) */
    struct history_list history;
    struct table_group *items; /* the table that was named first comes first */
};

/*
 * Reads names only. A statement that names nothing that exists (an index that the statement before it
 * creates) belongs to the table of the statement before it. ERROR_USAGE for a statement about two tables.
 */
bool groups_read(struct session *s, const struct plan_options *options, struct table_groups *groups,
                 struct error *err);
void groups_free(struct table_groups *groups);

#endif
