/* The phases of a job, one function each. */
#ifndef PGRECAST_JOB_PHASES_H
#define PGRECAST_JOB_PHASES_H

#include "engine.h"

/* Each does its work and returns; e->next is the phase that follows. */
enum step phase_start(struct engine *e, struct error *err); /* publications, slot, barrier, stream, shadow */
enum step phase_copy(struct engine *e, struct error *err);
enum step phase_index(struct engine *e, struct error *err);
enum step phase_catchup(struct engine *e, struct error *err);
enum step phase_verify(struct engine *e, struct error *err);
enum step phase_ready(struct engine *e, struct error *err); /* stays in sync until the cutover may begin */
enum step phase_cutover(struct engine *e, struct error *err);
enum step phase_follow(struct engine *e, struct error *err); /* after a swap, in either direction */

#endif
