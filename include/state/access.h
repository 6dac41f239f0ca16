/*
 * Access to schema pgrecast, in which the state of all jobs of a database is kept. Only src/state runs SQL on
 * that schema.
 *
 * Trust: whoever owns a table can put a trigger on it, and what is stored in the schema is run with the
 * rights of
 * whoever runs the program. So before the first use of the schema every command checks three things. The
 * schema and
 * everything in it belong to the session's role, or to the one role that the user names with --state-owner
 * and thereby
 * trusts fully. Nobody else may write there. There are no triggers, rules, policies, defaults, constraints or
 * functions
 * except the program's own. Otherwise the command refuses (ERROR_REFUSED) and says what is in the way. So
 * what is stored
 * was stored by a trusted role, and can be run as it is.
 *
 * Several roles of one database: a state belongs to one role. Roles that do not trust each other cannot share
 * it. Roles
 * that do are members of its owner, and name the owner.
 */
#ifndef PGRECAST_STATE_ACCESS_H
#define PGRECAST_STATE_ACCESS_H

#include <stdbool.h>

#include "core/error.h"
#include "pg/session.h"

/* The owner of the state, whom the program trusts. The caller owns the struct. */
struct state_access {
    const struct connection_options *connection;
    const char *owner; /* --state-owner; NULL: the session's role */
    /*
     * The job whose instance this process is about to become; NULL: none. Its session says so at once by a shared
     * lock, so that a command that asks the job for something waits until the instance reads requests.
     */
    const char *begins;
};

/* Which state a database has. */
enum state_presence {
    STATE_NONE,    /* there is no schema pgrecast, or an empty one */
    STATE_CURRENT, /* of this version's format */
    STATE_OLDER,   /* another version's format: state_install() replaces it */
};

/*
 * Open a session "pgrecast PURPOSE" for work with the state, check who owns the state, and find out which
 * state there is. The session does not wait for standbys (synchronous_commit = local), because a request must
 * be visible even while a standby is away. NULL on failure: as session_open(); ERROR_REFUSED as above;
 * ERROR_FAILED for a state of a newer version.
 */
struct session *state_open(const struct state_access *access, const char *purpose,
                           enum state_presence *presence, struct error *err);

/* The same check for an open session, when the last check was long ago. */
bool state_check(struct session *s, const struct state_access *access, enum state_presence *presence,
                 struct error *err);

/*
 * Create the schema where it is missing. Replace one of an older format, and carry over the records of ended
 * jobs. ERROR_REFUSED when a job of the older format has not ended. The privileges of everybody but the owner
 * are revoked.
 */
bool state_install(struct session *s, const struct state_access *access, struct error *err);

#endif
