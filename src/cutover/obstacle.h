/*
 * Who stands in the way of the cutover's locks, on the tables and on what hangs on them. An autovacuum gives
 * way to whoever has waited for deadlock_timeout. That must not be ACCESS EXCLUSIVE, behind which the
 * application would wait as long: SHARE UPDATE EXCLUSIVE is in nobody's way but of the like of it.
 * Internal to the cutover.
 */
#ifndef PGRECAST_CUTOVER_OBSTACLE_H
#define PGRECAST_CUTOVER_OBSTACLE_H

#include <stdbool.h>
#include <stdint.h>

#include "cutover/cutover.h"

/* Adds to the error who holds a lock, if somebody does. */
void obstacle_describe(const struct cutover_request *request, struct error *err);

/* Whether there is something to clear away. */
bool obstacle_any(const struct cutover_request *request, bool *any, struct error *err);

/*
 * Waits for autovacuums to end, until that time (by clock_ms()), and makes those that are still at work then
 * give way. *guard: the session that keeps them out from there until obstacle_release(); NULL where there was
 * none. ERROR_LOCK where one does not give way, with what is in the way.
 */
bool obstacle_clear(const struct cutover_request *request, int64_t patient_until_ms, struct session **guard,
                    struct error *err);

/* Just before the cutover's own locks, which it is in the way of. Sets *guard to NULL, and may be called
 * again. */
void obstacle_release(struct session **guard);

#endif
