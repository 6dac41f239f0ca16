/* Filling the shadow: the copy, and the apply of the changes that were made meanwhile. */
#ifndef PGRECAST_JOB_LOAD_H
#define PGRECAST_JOB_LOAD_H

#include "engine.h"

/* Sets e->sweep_needed: whether old rows may carry transaction numbers that look new to the copy. */
bool engine_find_sweep_needed(struct engine *e, struct error *err);

/*
 * To be called when the shadow is complete. Snapshots taken from now on see it complete; the swap waits for
 * the end of older ones.
 */
bool engine_note_complete(struct engine *e, struct error *err);

#endif
