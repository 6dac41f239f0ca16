/* The swap, in either direction, and what a job in sync answers before it. */
#ifndef PGRECAST_JOB_SWAP_H
#define PGRECAST_JOB_SWAP_H

#include "engine.h"

/* The swap of the current direction. After it e->job has one more swap, and the stages are closed. */
bool swap_tables(struct engine *e, enum job_phase next, struct error *err);

/* Carry out the verifications that were requested while the job is in sync. */
bool swap_answer_verify(struct engine *e, struct error *err);

#endif
