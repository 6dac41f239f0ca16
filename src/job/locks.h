/* Whether the server's lock table has room for a swap. A swap that finds none fails with "out of shared memory". */
#ifndef PGRECAST_JOB_LOCKS_H
#define PGRECAST_JOB_LOCKS_H

#include "core/error.h"
#include "pg/session.h"
#include "plan_data/plan.h"

/* How many locks the swap to the new table of the plan needs for its partitions; 0 if it has none. */
int64_t locks_of_partitions(const struct plan *plan);

/*
 * Compare the locks that a swap of the tables needs with those that are free. oids: an array of the active
 * tables in SQL's text form. partitions: locks_of_partitions() of all. False with an error of that kind where too few are free; it says what to set.
 */
bool locks_fit(struct session *s, const char *oids, int64_t partitions, enum error_kind kind,
               struct error *err);

#endif
