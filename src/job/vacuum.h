/*
 * VACUUM (ANALYZE) of the shadows, in the background, so that after the swap no query has to wait for
 * statistics, hint bits or the visibility map. Internal to the job.
 */
#ifndef PGRECAST_JOB_VACUUM_H
#define PGRECAST_JOB_VACUUM_H

#include "engine.h"

struct vacuum;

/* Start it. workers: how many tables are vacuumed at the same time. */
struct vacuum *vacuum_start(struct engine *e, int workers);

/*
 * Wait for its end, applying changes meanwhile, and free it. With ok false: cancel it, and leave err as it
 * is.
 */
bool vacuum_finish(struct engine *e, struct vacuum *v, bool ok, struct error *err);

#endif
