/*
 * What the job waits for: locks, transactions, standbys. About once a second the server is asked for what the sessions of
 * the job wait for, and who is in the way. What has been waited for for a second is written to the job's state, where
 * `status` reads it; after two seconds it is logged. This also works while the main thread waits for an answer
 * (pg/group.h): then by the control session, or by one of its own where the control session is the one that waits.
 *
 * Waits that the server does not know of are declared: waits_expect_transactions(), waits_declare().
 */
#ifndef PGRECAST_JOB_WAITS_H
#define PGRECAST_JOB_WAITS_H

#include "engine.h"

/* All sessions that are opened by e->connection from now on are looked at. Call waits_close() when they are closed. */
void waits_open(struct engine *e);
void waits_close(struct engine *e);

/* To be called at each tick: looks about once a second. Fails only if the control session does. */
bool waits_tick(struct engine *e, struct error *err);

/*
 * Look now, for waits that are too short to be met by a tick, because they are ended by a lock timeout and tried again. *seen:
 * the session of that name on the server waits.
 */
bool waits_look_for(struct engine *e, const char *session, bool *seen, struct error *err);

/* From now on, or no longer, the job waits for the end of transactions: the oldest of the cluster is named. */
void waits_expect_transactions(struct engine *e, bool expect);

/*
 * The job waits for what the text says ("a lock on …"), until waits_settle(). kind: lock, autovacuum. To be called while the
 * control session is idle.
 */
void waits_declare(struct engine *e, const char *kind, const char *text);

/*
 * It is over: what was declared of that kind, and what the session of that name has waited for ("pgrecast validate"). NULL: all that
 * was declared.
 */
void waits_settle(struct engine *e, const char *what);

/* What is waited for longest, for a message; the caller frees it. */
char *waits_text(const struct engine *e);

#endif
