/*
 * Making connections: what libpq gets beyond the user's settings, and whether a refusal may be temporary.
 * Private to src/pg.
 */
#ifndef PGRECAST_PG_CONNECT_H
#define PGRECAST_PG_CONNECT_H

#include "pg/session.h"

/*
 * Connect. A peer that has vanished is noticed within about half a minute, and an address that does not
 * answer is given up after 10 s, unless the user's connection string, service file or environment say
 * otherwise.
 *
 * NULL on failure. err then has the server's SQLSTATE, and connection_lost if another try may succeed: there
 * was no answer, or a temporary refusal. connection_lost is not set if the server refused for good (wrong
 * password, no such database) or the options make no sense. A stop request ends it. receiver gets the
 * server's messages during this time, and later.
 */
PGconn *server_connect(const struct connection_options *options, enum session_kind kind, const char *purpose,
                       PQnoticeReceiver receiver, void *receiver_arg, struct error *err);

/* The server ends the session, starts, stops or recovers. connecting: also if it has no connection left. */
bool sqlstate_is_transient(const char *sqlstate, bool connecting);

#endif
