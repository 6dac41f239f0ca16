/* Synchronous standbys: who waits for them, and how long. */
#ifndef PGRECAST_JOB_STANDBY_H
#define PGRECAST_JOB_STANDBY_H

#include "engine.h"

/*
 * The swap is committed without a wait for standbys, because nobody may wait for one under the swap's lock.
 * This function waits, for a minute at most, until the standbys that commits of this role wait for have the
 * swap. After that time the log says so, and the job continues. False only where the connection is lost or
 * the user stops the program; the swap is committed in any case.
 */
bool standby_await(struct engine *e, struct error *err);

#endif
