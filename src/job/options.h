/* The options that stay with a job, as JSON. Internal to the job. */
#ifndef PGRECAST_JOB_OPTIONS_H
#define PGRECAST_JOB_OPTIONS_H

#include "job/job.h"

/* The caller's to free. */
char *job_options_write(const struct job_options *options);

/* The array of texts that pgrecast.job.reverse_maps is; the caller's to free. ERROR_USAGE where one is not
 * UTF-8. */
char *job_maps_write(int count, const char *const *maps, struct error *err);

/* Sets what is kept with the job and leaves the rest alone. ERROR_FAILED when the text is not one of these.
 */
bool job_options_read(struct job_options *options, const char *text, struct error *err);

#endif
