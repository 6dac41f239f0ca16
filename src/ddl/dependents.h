/*
 * What hangs on the table (struct dependent) and what becomes of it. A view or function can often be turned
 * to the new table in place; where what it gives has another type then, it is taken away and made again, with
 * all that hangs on it. Triggers, rules, policies and memberships in publications always are.
 *
 * Found out on the clone, in the transaction that is rolled back: everything is made once over it, in schemas
 * of its own, so that what cannot be done is known before anything is. Statements are made with the column
 * names that the table has before the user's renames; the server carries the renames through afterwards.
 */
#ifndef PGRECAST_DDL_DEPENDENTS_H
#define PGRECAST_DDL_DEPENDENTS_H

#include "ddl/plan.h"

/* A table of the job: as it is, as it will be, and where its clone is. */
struct dependents_table {
    struct table *source;
    const struct table *target;
    const char *clone_schema;
};

struct dependents_plan {
    struct string_list locks;  /* outermost first, as a query comes to them */
    struct string_list locked; /* the oids of what they lock, as far as it holds something */
    struct string_list detach; /* last first */
    struct string_list attach;
    struct string_list names_before; /* the new tables' columns get the names they have in the sources … */
    struct string_list names_after;  /* … and their own again */
};

/*
 * Of all tables of the job together: an object may hang on several. Sets .fate of the sources' dependents;
 * adds to reasons what cannot be carried over. False only when the server failed.
 */
bool dependents_plan_make(struct dependents_plan *plan, struct session *s,
                          const struct dependents_table *tables, int count, struct string_list *reasons,
                          struct error *err);
void dependents_plan_free(struct dependents_plan *plan);

#endif
