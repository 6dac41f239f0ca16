/* Whether the server's lock table has room for a swap. A swap that finds none fails with "out of shared memory". */
#ifndef PGRECAST_JOB_LOCKS_H
#define PGRECAST_JOB_LOCKS_H

#include "core/error.h"
#include "pg/session.h"

/*
 * Compare the locks that a swap of the tables needs with those that are free. oids: an array of the active
 * tables in SQL's text form. False with an error of that kind where too few are free; it says what to set.
 */
bool locks_fit(struct session *s, const char *oids, enum error_kind kind, struct error *err);

#endif
