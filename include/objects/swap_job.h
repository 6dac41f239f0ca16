/*
 * Puts the swaps of a job together: what depends on the tables is dropped, all tables exchange their names,
 * and what was dropped is created again on the table that is active from then on. No I/O.
 */
#ifndef PGRECAST_OBJECTS_SWAP_JOB_H
#define PGRECAST_OBJECTS_SWAP_JOB_H

#include "objects/dependents.h"
#include "plan_data/plan.h"

/* set->cutover, ->rollback and ->cutover_again, from the plans of the tables. */
void swap_job_plan(struct plan_set *set, const struct dependents_plan *d);

/*
 * Add changes of another table's rows (PLANNED_HISTORY) to both cutovers, or their inverse to the rollback.
 * table: quoted, qualified.
 */
void swap_job_write(struct plan_set *set, const char *table, const struct string_list *statements, bool back);

#endif
