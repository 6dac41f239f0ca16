/* The end of a job after a swap. Internal to the job. */
#ifndef PGRECAST_JOB_ENDING_H
#define PGRECAST_JOB_ENDING_H

#include "state/job.h"

/*
 * Statements of an instance that died may still run on the server (an index build, a chunk, a commit that
 * waits for a standby). They are found by the inactive table, which nobody but the job uses. They are
 * cancelled, and the function waits for their end. The job's lock must be held.
 */
bool ending_orphans(struct session *s, const struct job_state *job, struct error *err);

/*
 * The end of a job in two steps. Between them the caller may do what remains to be done without the slot.
 * ending_begin() stores that the job ends and what becomes of the inactive table, and removes the slot, so
 * that the log is no longer held back. ending_finish() drops the inactive table, unless it is to be kept, and
 * everything else that the job has made. Each may be called again after a crash. The job's lock must be held.
 */
bool ending_begin(struct session *s, struct job_state *job, bool keep, struct error *err);
bool ending_finish(struct session *s, struct job_state *job, struct error *err);

/* Adds to an error of one of them in which state it leaves the job. Returns false. */
bool ending_incomplete(const struct job_state *job, struct error *err);

#endif
