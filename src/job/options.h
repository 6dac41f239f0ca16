/* The options that stay with a job, as JSON. Internal to the job. */
#ifndef PGRECAST_JOB_OPTIONS_H
#define PGRECAST_JOB_OPTIONS_H

#include "job/job.h"

/* The caller's to free. */
char *job_options_write(const struct job_options *options);

/* Sets what is kept with the job and leaves the rest alone. ERROR_FAILED when the text is not one of these.
 */
bool job_options_read(struct job_options *options, const char *text, struct error *err);

#endif
