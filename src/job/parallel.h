/* Statements run in several sessions at once, in threads, so that the job's loop goes on. Internal to the
 * job. */
#ifndef PGRECAST_JOB_PARALLEL_H
#define PGRECAST_JOB_PARALLEL_H

#include <stdbool.h>

#include "core/error.h"
#include "pg/session.h"

struct parallel;

/* Start running the statements, in order, in up to that many sessions. The texts must outlive it. */
struct parallel *parallel_start(const struct connection_options *connection, const char *purpose,
                                const char *const *sql, int count, int workers);
int parallel_finished(const struct parallel *p); /* statements done so far */
bool parallel_done(const struct parallel *p);

/* Begin no further statement and cancel those under way. */
void parallel_cancel(struct parallel *p);

/* Wait and free. The first failure is the error; no further statement is begun after it. */
bool parallel_finish(struct parallel *p, struct error *err);

#endif
