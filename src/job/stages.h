/* The stages of a direction: spool, receiver, apply; the position at which each continues. */
#ifndef PGRECAST_JOB_STAGES_H
#define PGRECAST_JOB_STAGES_H

#include "engine.h"

/* Open the stages that the phase needs, where they are not open yet, from the position in the job's state. */
bool stages_open_stream(struct engine *e, struct error *err);
bool stages_open_apply(struct engine *e, struct error *err);
/*
 * Close the stages, in order. What was verified so far is kept for the next stages_open_apply() of the same
 * direction.
 */
void stages_close(struct engine *e);

/*
 * The spool's directory of the direction that begins after so many swaps; the caller frees it. Then: the
 * identity of the spools, by which it is recognized to whom they belong.
 */
char *stages_spool_directory(const struct engine *e, int swaps);
struct spool_identity stages_spool_identity(const struct engine *e, int timeline);

#endif
