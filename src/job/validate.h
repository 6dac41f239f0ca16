/*
 * After a swap: validates the foreign keys that the swap could only add as NOT VALID, without long locks. The
 * state does not record what is done, because validating a constraint that is already valid costs nothing: an
 * instance that takes the job begins with the first one again. One that cannot be validated stays NOT VALID,
 * and the log names it. Internal to the job.
 */
#ifndef PGRECAST_JOB_VALIDATE_H
#define PGRECAST_JOB_VALIDATE_H

#include "engine.h"

/*
 * To be called often: starts the next validation, in a session of its own, if none is running. ERROR_FAILED
 * only for a lost connection.
 */
bool validate_some(struct engine *e, struct error *err);

/* Validate all of them, and tick meanwhile. */
bool validate_all(struct engine *e, struct error *err);

/* Cancel the one that runs, if any; the next validate_some() begins with the first one. */
void validate_stop(struct engine *e);

/* Validate all of them in that session, for a job that no instance runs. */
bool validate_here(struct session *s, const struct plan_set *plans, int swaps, struct error *err);

#endif
