/*
 * The open sessions of one job, and what its main thread does while it waits for one of them. A session belongs to the group
 * of its connection_options (pg/session.h). Sessions are opened and closed in several threads.
 */
#ifndef PGRECAST_PG_GROUP_H
#define PGRECAST_PG_GROUP_H

#include <stdint.h>

struct session;
struct session_group;

/*
 * Called several times a second while a statement of session s has no answer yet. waited_ms: since it is waited for this
 * answer. It may use other sessions; it is then not called for those. It must not change s.
 */
typedef void (*session_waiting)(void *arg, struct session *s, int64_t waited_ms);

/* waiting is called only in the thread that has called this function. */
struct session_group *session_group_new(session_waiting waiting, void *arg);

/* NULL-safe. All sessions must be closed. */
void session_group_free(struct session_group *g);

/* The ids of the server processes of all open sessions: an array in SQL's text form, which the caller frees. */
char *session_group_pids(struct session_group *g);

#endif
