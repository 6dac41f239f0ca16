/* What job.c, which runs the job, does for the other files of the module. */
#ifndef PGRECAST_JOB_RUN_H
#define PGRECAST_JOB_RUN_H

#include "engine.h"
#include "job/job.h"

/*
 * Take a job that no instance runs, roll it back, and leave it. ERROR_FAILED with SQLSTATE JOB_LOCKED: an instance runs
 * it. Otherwise as job_rollback().
 */
bool run_rollback(const struct job_options *options, struct job_report *report, struct error *err);

/* A run that ends as exit says must not leave a slot that holds the log without a limit: ERROR_REFUSED. */
bool job_check_left_alone(struct engine *e, enum job_exit exit, struct error *err);

#endif
