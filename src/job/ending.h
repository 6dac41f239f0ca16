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
 * The table that does not serve goes, unless it is to be kept, and with it all that the job has made. May be
 * called again after a crash: then it goes on where it was. The job's lock is held.
 */
bool ending_finish(struct session *s, struct job_state *job, bool keep, struct error *err);

#endif
