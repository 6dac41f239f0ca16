/* After a swap: the inactive table is kept in sync, until it becomes active again or the job is finished. */
#ifndef PGRECAST_JOB_FOLLOW_H
#define PGRECAST_JOB_FOLLOW_H

#include "engine.h"

/* Refuses a rollback while rows are set aside (ERROR_ROLLBACK), and names the rows. */
bool follow_refuse_blocked(struct engine *e, struct error *err);

#endif
