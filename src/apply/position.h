/*
 * The position in the log up to which everything is applied, and its row, which shows it after a crash.
 * Internal to the apply.
 */
#ifndef PGRECAST_APPLY_POSITION_H
#define PGRECAST_APPLY_POSITION_H

#include "state.h"

/*
 * The position that holds once the open transaction is committed. To be called between two transactions of
 * the stream.
 */
struct apply_position position_next(const struct apply *a);

/* Write the position into its row. Fails where another instance has the job. */
bool position_write(struct apply *a, lsn_t lsn, struct error *err);

/* To be called when nothing is pending and the reader has found no more changes. */
void position_idle(struct apply *a);

#endif
