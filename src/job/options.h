/* The options that are stored with a job, as JSON. Internal to the job. */
#ifndef PGRECAST_JOB_OPTIONS_H
#define PGRECAST_JOB_OPTIONS_H

#include "job/job.h"

/* The caller frees the text. */
char *job_options_write(const struct job_options *options);

/*
 * Sets the options that are stored with the job, and leaves the others. ERROR_FAILED where the text is not
 * one that job_options_write() makes.
 */
bool job_options_read(struct job_options *options, const char *text, struct error *err);

#endif
