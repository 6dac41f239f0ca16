/* Taking in what the server answers. Internal to pg. */
#ifndef PGRECAST_PG_RESULTS_H
#define PGRECAST_PG_RESULTS_H

#include "pg/session.h"

/*
 * The next result, or NULL at the end of the statement. False when the connection failed. A stop request
 * cancels the statement once, and sets *cancelled.
 */
bool results_next(struct session *s, PGresult **res, bool *cancelled, struct error *err);

bool results_failed(const PGresult *res);

/* err from libpq itself. Returns false. */
bool results_connection_error(struct session *s, struct error *err);

#endif
