/*
 * Who holds locks that conflict with the cutover's, on the tables and on the objects that depend on them. An
 * autovacuum gives way to a lock request that has waited for deadlock_timeout. This request must not be
 * ACCESS EXCLUSIVE, because the application would wait behind it for that time. SHARE UPDATE EXCLUSIVE
 * conflicts only with itself and with stronger locks. Internal to the cutover.
 */
#ifndef PGRECAST_CUTOVER_OBSTACLE_H
#define PGRECAST_CUTOVER_OBSTACLE_H

#include <stdbool.h>
#include <stdint.h>

#include "cutover/cutover.h"

/* Adds to the error which session holds a conflicting lock, if one does. */
void obstacle_describe(const struct cutover_request *request, struct error *err);

/* Whether there is an autovacuum that has to give way. */
bool obstacle_any(const struct cutover_request *request, bool *any, struct error *err);

/*
 * Waits until autovacuums have ended, up to that time (by clock_ms()), and then makes the remaining ones give
 * way. *guard: the session that keeps new ones away from these tables until obstacle_release(); NULL where
 * there were none. ERROR_LOCK, with the obstacle, where an autovacuum does not give way.
 */
bool obstacle_clear(const struct cutover_request *request, int64_t patient_until_ms, struct session **guard,
                    struct error *err);

/*
 * To be called just before the cutover's own locks, with which the guard conflicts. Sets *guard to NULL, and
 * may be called again.
 */
void obstacle_release(struct session **guard);

#endif
