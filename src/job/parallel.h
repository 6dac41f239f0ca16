/*
 * Runs statements in several sessions at once, in threads, so that the job's loop can continue. Internal to
 * the job.
 */
#ifndef PGRECAST_JOB_PARALLEL_H
#define PGRECAST_JOB_PARALLEL_H

#include <stdbool.h>

#include "core/error.h"
#include "pg/session.h"

struct parallel;

/* Start to run the statements, in order, in at most that many sessions. The texts must outlive the result. */
struct parallel *parallel_start(const struct connection_options *connection, const char *purpose,
                                const char *const *sql, int count, int workers);
int parallel_finished(const struct parallel *p); /* number of statements that have ended */
bool parallel_done(const struct parallel *p);

/* Start no further statement and cancel those that run. */
void parallel_cancel(struct parallel *p);

/*
 * Wait for the end, and free p. The first failure is the error; no further statement is started after it.
 * Also false after parallel_cancel(); err is then set only if a statement had failed before.
 */
bool parallel_finish(struct parallel *p, struct error *err);

#endif
