/* Fenced writes: the writes of an instance are refused when it was replaced. Internal to the state. */
#ifndef PGRECAST_STATE_FENCE_H
#define PGRECAST_STATE_FENCE_H

#include "pg/params.h"
#include "state/job.h"

/* The first two parameters of every fenced statement: $1 the job, $2 the instance. */
struct params fence_params(const struct job_state *job);

/*
 * Run a fenced statement. By its contract it returns (or changes) a row where the instance is still the
 * job's, and none where it is not. out may be NULL.
 */
bool fence_run(struct session *s, struct result *out, struct error *err, const char *sql,
               const struct params *p);

/* Set the error of a statement that found another instance. Returns false. */
bool fence_replaced(struct error *err);

#endif
