/* How many sessions a job opens, and whether the server allows them. */
#ifndef PGRECAST_JOB_SESSIONS_H
#define PGRECAST_JOB_SESSIONS_H

#include "pg/session.h"

/* Upper limit of the apply workers, which are sessions beside that of the applies. */
#define APPLY_WORKERS_MOST 3

/* The number of apply workers for that many jobs (--jobs). */
int sessions_apply_workers(int jobs);

/*
 * Lower *jobs (--jobs) until all sessions of the job fit into what role, database and server still allow. s
 * is one of these sessions. False where there is not even room for one job: *why has the reason, and the
 * caller frees it. False with err set where the limits cannot be read.
 */
bool sessions_fit(struct session *s, int *jobs, char **why, struct error *err);

/* The error of a server that cannot take the job (ERROR_REFUSED). reasons: sentences, one a line. False. */
bool sessions_refuse(const char *reasons, struct error *err);

#endif
