/* Receiving what the server answers. Internal to pg. */
#ifndef PGRECAST_PG_RESULTS_H
#define PGRECAST_PG_RESULTS_H

#include "pg/session.h"

/*
 * The next result, or NULL at the end of the statement. False if the connection failed. A stop request
 * cancels the statement once, and sets *cancelled.
 */
bool results_next(struct session *s, PGresult **res, bool *cancelled, struct error *err);

/*
 * The same after a failure (ok is false): the server's first error stays, even if the server then closes the
 * connection.
 */
bool results_next_after(struct session *s, PGresult **res, bool *cancelled, bool ok, struct error *err);

/*
 * Receive all results of what was sent. Keeps the last good result in out (may be NULL), and the first error
 * in err. Returns early at a COPY result, which is left to the caller.
 */
bool results_collect(struct session *s, struct result *out, struct error *err);

bool results_failed(const PGresult *res);

/* Set err to libpq's own error. Returns false. */
bool results_connection_error(struct session *s, struct error *err);

#endif
