/*
 * Writes batches of which some rows cannot be written: those are set aside, as blocked rows (blocked.h).
 * Internal to the apply.
 */
#ifndef PGRECAST_APPLY_BLOCKED_ROWS_H
#define PGRECAST_APPLY_BLOCKED_ROWS_H

#include "state.h"

/* Used instead of flush_batch(): write as much of the current batch as the shadow can hold. */
bool blocked_rows_write(struct apply *a, enum flush_trust trust, struct error *err);

/*
 * Why a row cannot be written, from the error before it is redacted. The caller frees the text. It has no
 * value of the row: it is the message of the plan's own guard, or what error_redact() leaves.
 */
char *blocked_rows_reason(const struct plan *plan, struct error *err);

#endif
