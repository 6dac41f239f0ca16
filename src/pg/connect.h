/*
 * Making connections: what libpq is told beyond the user's words, and whether a refusal may pass. Private to
 * src/pg.
 */
#ifndef PGRECAST_PG_CONNECT_H
#define PGRECAST_PG_CONNECT_H

#include "pg/session.h"

/*
 * Connect. A peer that is gone is noticed within about half a minute, and an address that does not answer is
 * left after 10 s, where the user's connection string, service file or environment do not say otherwise.
 *
 * NULL on failure. err then has the server's SQLSTATE, and connection_lost where another try may succeed: no
 * answer came, or one that passes. It does not where the server refused (wrong password, no such database) or
 * the options make no sense. A stop request ends it.
 */
PGconn *server_connect(const struct connection_options *options, enum session_kind kind, const char *purpose,
                       struct error *err);

/* A server that ends the session, starts, stops or recovers. connecting: or has no connection left. */
bool sqlstate_is_transient(const char *sqlstate, bool connecting);

#endif
