/*
 * The transaction on the session of an apply. It is the apply's own, from transaction_begin() to
 * transaction_end(), which writes the position; or it is the caller's, from apply_enter() to apply_leave().
 * All parts of the apply that write rows do so between a begin and an end. Internal to the apply.
 *
 * Refuses to end what the caller has opened. After a failure the caller of the step rolls back.
 */
#ifndef PGRECAST_APPLY_TRANSACTION_H
#define PGRECAST_APPLY_TRANSACTION_H

#include "state.h"

/* Open a transaction if none is open, neither an own one nor the caller's. */
bool transaction_begin(struct apply *a, struct error *err);

/* Write the position and commit, if an own transaction is open; otherwise do nothing. */
bool transaction_end(struct apply *a, lsn_t position, struct error *err);

/*
 * Whether an own transaction may be opened and ended now: the caller has none open, and apply_at_boundary().
 */
bool transaction_is_free(const struct apply *a);

/*
 * The transaction has read values from the source, which may be newer than the position. The shadow is not
 * exact until the stream has passed these values.
 */
bool transaction_move_exact(struct apply *a, struct error *err);

#endif
