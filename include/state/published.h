/*
 * What the publications of a job publish. It is stored whenever the program changes it, and compared
 * afterwards. A publication that somebody else has changed did not send the changes that were made meanwhile,
 * also where it was changed back: its stream has a gap.
 *
 * The definition is JSON, {object: {property: value}}, with the versions of the rows in the catalogs. Two
 * definitions are
 * equal if and only if their texts are equal.
 */
#ifndef PGRECAST_STATE_PUBLISHED_H
#define PGRECAST_STATE_PUBLISHED_H

#include "pg/pipeline.h"
#include "pg/session.h"
#include "state/job.h"

/*
 * Store what they publish, in the transaction that has changed it. ERROR_FAILED where one is not as the
 * program makes it: an event trigger may have changed it.
 */
bool published_note(struct session *s, struct job_state *job, struct error *err);

/* Read what they publish now. NULL on an error. The caller frees it. */
char *published_read(struct session *s, const struct job_state *job, struct error *err);

/* The same under a lock, as part of a pipeline. */
bool published_prepare(struct session *s, struct error *err);
void published_add(struct pipeline *p, const struct job_state *job);
const char *published_of(const struct result *res); /* owned by the result */

#endif
