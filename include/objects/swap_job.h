/*
 * Puts the swaps of a job together: what depends on the tables is dropped, all tables exchange their names,
 * and what was dropped is created again on the table that is active from then on. No I/O.
 */
#ifndef PGRECAST_OBJECTS_SWAP_JOB_H
#define PGRECAST_OBJECTS_SWAP_JOB_H

#include "objects/dependents.h"
#include "plan_data/plan.h"

/* set->cutover, ->rollback and ->cutover_again, from the plans of the tables. */
void swap_job_plan(struct plan_set *set, struct dependents_plan *d);

/*
 * Add changes of another table's rows (PLANNED_HISTORY) to both cutovers, or their inverse to the rollback.
 * table: quoted, qualified.
 */
void swap_job_write(struct plan_set *set, const char *table, const struct string_list *statements, bool back);

/*
 * Privileges on an active table have changed since the swaps were planned: from now on each swap gives them to the table that
 * becomes active. now: the grants of the table, and the names and grants of those columns that are the same in
 * both tables; its other members are not used.
 */
void swap_job_set_privileges(struct plan_set *set, int table, const struct table *now);

/* See plan_set_add_index() and plan_set_remove_index() (plan/plan.h). */
void swap_job_add_index(struct plan_set *set, int table, const struct plan_index_names *names);
bool swap_job_remove_index(struct plan_set *set, int table, const struct plan_index_names *names);

/* See plan_set_add_dependent() and plan_set_remove_dependent(). */
bool swap_job_add_dependent(struct plan_set *set, int table, const struct dependent *d);
bool swap_job_remove_dependent(struct plan_set *set, int table, const char *description);

#endif
