/* Writing batches of which single rows do not fit: those are set aside. Internal to the apply. */
#ifndef PGRECAST_APPLY_ASIDE_H
#define PGRECAST_APPLY_ASIDE_H

#include "state.h"

/* Instead of flush_batch(): the batch at hand, as much of it as the shadow takes. */
bool aside_write(struct apply *a, enum flush_trust trust, struct error *err);

/*
 * Why a row does not fit, from the error before it is redacted. The text is the caller's to free, and holds
 * no value: what the plan's own guards say, or what error_redact() leaves.
 */
char *aside_reason(struct error *err);

#endif
