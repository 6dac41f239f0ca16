/* The end of a job after a swap. Internal to the job. */
#ifndef PGRECAST_JOB_ENDING_H
#define PGRECAST_JOB_ENDING_H

#include "job/state.h"

/*
 * The table that does not serve goes, unless it is to be kept, and with it all that the job has made. May be
 * called again after a crash: then it goes on where it was. The job's lock is held.
 */
bool ending_finish(struct session *s, struct job_state *job, bool keep, struct error *err);

#endif
