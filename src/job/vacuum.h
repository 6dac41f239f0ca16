/* VACUUM (ANALYZE) of the shadows, in the background: after the swap nothing may have to wait for statistics,
 * hint bits or the visibility map. Internal to the job. */
#ifndef PGRECAST_JOB_VACUUM_H
#define PGRECAST_JOB_VACUUM_H

#include "engine.h"

struct vacuum;

/* Start it; workers: how many tables at once. */
struct vacuum *vacuum_start(struct engine *e, int workers);

/* Wait for its end, applying changes meanwhile, and free it. Not ok: cancel it, err stays what it is. */
bool vacuum_finish(struct engine *e, struct vacuum *v, bool ok, struct error *err);

#endif
