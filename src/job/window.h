/* The rollback window: set from the job's row, checked at each tick, set again after a lost connection. */
#ifndef PGRECAST_JOB_WINDOW_H
#define PGRECAST_JOB_WINDOW_H

#include "engine.h"

void window_ask(struct engine *e); /* call it just before the job's row is read */
void window_begin(struct engine *e);
void window_look(struct engine *e);
#define WINDOW_STOOD_STILL "while this program, or its machine, stood still"
/* The window may have ended before it was begun here (after a swap, after a lost connection): then the table stays. */
void window_check_passed(struct engine *e, const char *meanwhile);
/* True where the window has ended while this program ran, so that the inactive table may be dropped. */
bool window_is_over(struct engine *e);
/*
 * ERROR_REFUSED, JOB_WINDOW_OVER: the window ended while no program ran, and the user has not allowed to drop
 * the table.
 */
bool window_check_resume(const struct engine *e, struct error *err);

#endif
