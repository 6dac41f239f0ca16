/* A verification that found differences: the job stays in sync, and no swap is made until one finds none. */
#ifndef PGRECAST_JOB_UNEQUAL_H
#define PGRECAST_JOB_UNEQUAL_H

#include "engine.h"

/*
 * Note the differences in the engine; take over those that the previous
 * instance has noted.
 */
void unequal_note(struct engine *e, const struct error *found);
void unequal_take_job(struct engine *e);
/*
 * A verification that the job makes without a request: differences are noted and logged, and the job
 * continues. It is not made where differences are known already.
 */
bool unequal_verify(struct engine *e, struct error *err);
/* ERROR_PARITY where differences are known. */
bool unequal_refuse_swap(const struct engine *e, struct error *err);
/* Sets the hint of such an error, for a job that continues. Returns false. */
bool unequal_hint(const struct engine *e, struct error *err);

#endif
