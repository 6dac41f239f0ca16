/*
 * One step: reads whole transactions from the spool into a batch, and writes it to the shadow. Internal to
 * the apply.
 */
#ifndef PGRECAST_APPLY_STEP_H
#define PGRECAST_APPLY_STEP_H

#include "state.h"

/* Apply up to one batch, in the apply's own transaction or the caller's. */
enum apply_outcome step_read(struct apply *a, struct error *err);

/*
 * Apply the transactions held back: read each again from its beginning, then continue from where the reader
 * was.
 */
bool step_held(struct apply *a, struct error *err);

#endif
