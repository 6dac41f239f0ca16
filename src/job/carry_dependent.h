/*
 * Triggers and views that others add to an active table while a job runs, or drop. The inactive table has none, so the plan of the swaps
 * is changed: each swap drops the trigger from the one table and creates it on the other, and redirects the view in place (CREATE OR REPLACE).
 * Internal to the job.
 */
#ifndef PGRECAST_JOB_CARRY_DEPENDENT_H
#define PGRECAST_JOB_CARRY_DEPENDENT_H

#include <jansson.h>

#include "engine.h"

/* Whether it is a change of this kind, of those that watch_list_changes() gives. */
bool carry_dependent_is(json_t *change);

/* Lock the views that these changes have added, so that nobody changes them until the end of the transaction. */
bool carry_dependents_lock(struct engine *e, int table, json_t *changes, struct error *err);

/*
 * Read the objects that these changes have added, as the dependents of a table that has nothing else, to be freed by
 * table_free(). now: the present definition of the active table, which is proven to have what was read. *exact is set
 * to false if swaps cannot move one of them. NULL on an error.
 */
struct table *carry_dependents(struct engine *e, int table, json_t *changes, json_t *now, bool *exact,
                               struct error *err);

/* Put the present objects into the definition of before. */
void carry_dependent_settle(json_t *changes, json_t *before, json_t *now);

/* Change the plan of the swaps. False if it cannot be changed. */
bool carry_dependent_amend(const struct table *added, json_t *changes, int table, struct plan_set *plans);

#endif
