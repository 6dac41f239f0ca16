/*
 * The swaps of a job, put together: what hangs on the tables is taken away, all tables change places, and it
 * is made again on what serves from then on. No I/O.
 */
#ifndef PGRECAST_DDL_SWAPS_H
#define PGRECAST_DDL_SWAPS_H

#include "ddl/dependents.h"

/* set->cutover, ->rollback and ->cutover_again, from the plans of the tables. */
void swaps_plan(struct plan_set *set, const struct dependents_plan *d);

#endif
