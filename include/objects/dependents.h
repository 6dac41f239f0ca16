/*
 * What depends on the table (struct dependent), and what is done about it. A view or function can often be
 * redirected to the new table in place. If its result gets another type, it is dropped and created again,
 * with everything that depends on it. Triggers, rules, policies and memberships in publications are always
 * dropped and created again. A materialized view over the table is created over the new table before the
 * swap (objects/early.h).
 *
 * This is found out on the clone, in the transaction that is rolled back: everything is created once over the
 * clone, in schemas of its own, so that what cannot be done is known before anything is done. The statements
 * use the column names that the table has before the user's renames; the server carries the renames through
 * afterwards.
 */
#ifndef PGRECAST_OBJECTS_DEPENDENTS_H
#define PGRECAST_OBJECTS_DEPENDENTS_H

#include <stdbool.h>

#include "catalog/table.h"
#include "core/error.h"
#include "core/list.h"
#include "pg/session.h"
#include "plan_data/plan.h"

/* A table of the job: its present form, its future form, and where its clone is. */
struct dependents_table {
    struct table *source;
    const struct table *target;
    const char *clone_schema;
    const char *shadow_name;
    bool hides_columns;              /* until the swap, to keep the original key */
    const struct string_list *taken; /* names in its schema that cannot be chosen any more */
};

struct dependents_plan {
    struct string_list locks;  /* outermost first, the order in which a query locks them */
    struct string_list locked; /* the oids of the objects that they lock, as far as those store something */
    struct string_list detach; /* the dependent that was created last comes first */
    struct string_list attach;
    struct string_list notes; /* for people */
    char *proof;              /* the check that they mean the same over the new tables, or NULL … */
    char *proof_back;         /* … and over the originals */
    /* views that are created before the cutover, see plan_set */
    int early_count;
    struct plan_early *early;
    struct string_list early_create;
    /* give the new tables' columns the names that they have in the sources … */
    struct string_list names_before;
    struct string_list names_after; /* … and their own names again */
};

/*
 * For all tables of the job together, because an object may depend on several. Sets .fate of the sources'
 * dependents, and adds to reasons what cannot be carried over. False only if the server failed.
 */
bool dependents_plan_make(struct dependents_plan *plan, struct session *s,
                          const struct dependents_table *tables, int count, struct string_list *reasons,
                          struct error *err);
void dependents_plan_free(struct dependents_plan *plan);

#endif
