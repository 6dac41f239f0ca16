/*
 * After a swap: what it could only begin (foreign keys that are NOT VALID) is made whole, without long locks.
 * Nothing of it is noted: a constraint that is valid already costs nothing, so whoever takes the job up
 * begins again. One that cannot be validated stays NOT VALID, and is named in the log. Internal to the job.
 */
#ifndef PGRECAST_JOB_VALIDATE_H
#define PGRECAST_JOB_VALIDATE_H

#include "engine.h"

/* To be called often: starts the next one, in a session of its own, where none is under way. ERROR_FAILED
 * only for a lost connection. */
bool validate_some(struct engine *e, struct error *err);

/* All of them, with ticks. */
bool validate_all(struct engine *e, struct error *err);

/* Cancel the one under way, if any; the next validate_some() begins with the first. */
void validate_stop(struct engine *e);

/* All of them in that session, for a job without an instance. */
bool validate_here(struct session *s, const struct plan_set *plans, int leg, struct error *err);

#endif
