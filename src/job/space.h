/*
 * Room for the spool on the client's disk, before anything is created. Internal to the job, except
 * job_spool_space() (job/job.h).
 */
#ifndef PGRECAST_JOB_SPACE_H
#define PGRECAST_JOB_SPACE_H

#include "job/job.h"

/* The parent directory of the job's own directory: --spool-dir, or the default. The caller frees it. */
char *space_spool_parent(const struct job_options *o);

#endif
