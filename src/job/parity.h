/* The proof that the two tables of a job are equal. */
#ifndef PGRECAST_JOB_PARITY_H
#define PGRECAST_JOB_PARITY_H

#include "engine.h"

/* Compare the dirty keys until few are left. */
bool parity_reduce_dirty(struct engine *e, struct error *err);
/*
 * The same just before the lock, because every dirty key that is left takes time under it. Continues to the
 * smallest number that the rate of writes allows.
 */
bool parity_reduce_last(struct engine *e, struct error *err);
/* Under the lock: compare the remaining dirty keys. */
bool parity_check_dirty(struct engine *e, struct error *err);
/*
 * A whole verification, from the snapshots to the result. ERROR_PARITY: it found differences, which are noted
 * in e->unequal, and the job can continue.
 */
bool parity_verify(struct engine *e, struct error *err);

#endif
