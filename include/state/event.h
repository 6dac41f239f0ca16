/*
 * Events of a job, in pgrecast.event: what happened, when and in which phase. The start of a phase, the end
 * of a job, an error, a swap and the answer to a request are entered by the statement that writes the fact
 * itself. The other events are entered here.
 */
#ifndef PGRECAST_STATE_EVENT_H
#define PGRECAST_STATE_EVENT_H

#include <jansson.h>

#include "state/job.h"

/* A failed attempt to cut over or to roll back: its number, and what was in the way. */
bool event_attempt(struct session *s, const struct job_state *job, int attempt, const struct error *why,
                   struct error *err);

/* Changes of an active table that were made on its inactive one too. changes stays the caller's. */
bool event_carried(struct session *s, const struct job_state *job, const char *message, json_t *changes,
                   struct error *err);

#endif
