/* A command that is given again: `run --or-resume`, `run --if-needed`, and `resume` of a job that has ended. */
#ifndef PGRECAST_JOB_AGAIN_H
#define PGRECAST_JOB_AGAIN_H

#include "engine.h"

/* After attach_job() has failed: whether the job has finished, so that there is nothing to resume. Fills the report. */
bool again_finished(const struct engine *e, struct error *err);

/* For --if-needed: whether nothing has to be done. Fills the report. */
bool again_not_needed(const struct engine *e);

#endif
