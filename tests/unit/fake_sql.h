/*
 * A server for SQL sessions that answers by a script. It speaks the frontend/backend protocol on a Unix
 * socket, so that libpq and src/pg run unchanged: simple and extended queries, pipelines, cancel requests,
 * notices, errors, and connections that are lost before or after a reply.
 *
 * A script is a table of steps. Each names the session it belongs to, the statement that is expected there
 * next, and the reply. A statement that is not the next one of its session gets an error and fails the test,
 * with both texts; so do steps that are left at the end. Not in the script, and answered without a step:
 *   - what session_open() asks and sets (the backend's process, set_config),
 *   - what session_prepare() does; an execution is matched by the name of the prepared statement,
 *   - any statement in a failed transaction but COMMIT and ROLLBACK (25P02, as a server does).
 * A step for such a statement wins over these.
 *
 * Refuses: COPY and replication (fake_server.h). A simple query of several statements is one step and gets
 * one reply. The transaction status follows the statements' texts: BEGIN, COMMIT, ROLLBACK.
 */
#ifndef PGRECAST_TESTS_UNIT_FAKE_SQL_H
#define PGRECAST_TESTS_UNIT_FAKE_SQL_H

#include <pthread.h>

#include "fake_script.h"
#include "pg/session.h"
#include "support.h"

/* What libpq says, on one line, when the connection is closed without a reply. */
#define FAKE_LOST_MESSAGE                                                                                    \
    "server closed the connection unexpectedly This probably means the server terminated abnormally before " \
    "or while processing the request."

struct fake_sql {
    const char *version; /* server_version; NULL: 15.18 */
    struct connection_options connection;
    char *directory; /* of the socket */
    struct fake_script script;
    int listener;
    int end_pipe[2]; /* written to by fake_sql_finish() */
    pthread_t thread;
    struct fake_session **sessions;
    int session_count; /* of all that have been opened, also those that are closed */
    int cancels;       /* CancelRequests that named an open session; to be read after fake_sql_finish() */
};

/* Start the server. Set .version before, zero the rest; the script must live until fake_sql_finish(). */
#define FAKE_SQL_START(fake, steps) fake_sql_start(fake, steps, sizeof(steps) / sizeof((steps)[0]))
void fake_sql_start(struct fake_sql *f, const struct fake_step *steps, size_t count);

/* A session of that purpose; fails the test where it cannot be opened. */
struct session *fake_sql_session(struct fake_sql *f, const char *purpose);

/*
 * End the server. Fails the test for what was unexpected and for steps that are left. fake_sql_end() returns
 * them instead, one a line; the caller frees the text.
 */
void fake_sql_finish(struct fake_sql *f);
char *fake_sql_end(struct fake_sql *f);

#endif
