/* The end of a job after a swap. Internal to the job. */
#ifndef PGRECAST_JOB_ENDING_H
#define PGRECAST_JOB_ENDING_H

#include "job/state.h"

/*
 * Statements of an instance that died may still run on the server (an index build, a chunk, a commit that
 * waits for a standby). Nobody but the job uses the table that does not serve, so they are known by it; they
 * are ended, and waited for. The job's lock is held.
 */
bool ending_orphans(struct session *s, const struct job_state *job, struct error *err);

/*
 * The end in two steps, between which there is time for what is still to be done without the slot. First:
 * from now on it is the end, and what becomes of the table that does not serve is settled; the log is no
 * longer held back. Then that table goes, unless it is to be kept, and with it all that the job has made.
 * Each may be called again after a crash. The job's lock is held.
 */
bool ending_begin(struct session *s, struct job_state *job, bool keep, struct error *err);
bool ending_finish(struct session *s, struct job_state *job, struct error *err);

/* Of an error in one of them: what state that leaves. Returns false. */
bool ending_incomplete(const struct job_state *job, struct error *err);

#endif
