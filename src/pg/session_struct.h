/* The struct of a session. Internal to pg. */
#ifndef PGRECAST_PG_SESSION_STRUCT_H
#define PGRECAST_PG_SESSION_STRUCT_H

#include <libpq-fe.h>

#include "core/buffer.h"
#include "pg/session.h"

struct session {
    PGconn *conn;
    PGcancel *cancel;       /* made once: unlike the connection, another thread may use it */
    struct buffer *notices; /* buffer that collects notices; NULL: see notice.h */
    int64_t deadline_ms;    /* by clock_ms(); 0: none */
    enum session_kind kind;
    struct session_group *group; /* NULL: none */
    int pid;                     /* of the server process, in the group; 0: not in it */
    int64_t asked_ms;            /* since when the answer that comes next is waited for; by clock_ms() */
    struct session_settings
        settings; /* the job's, or zeroed: then those that the session began with, once they have been read */
    bool adopted; /* .settings are the job's */
    struct session_limits limits;
    char *users_path; /* see session_set_users_path() */
    char *pin;        /* the text of session_pin_sql(), or NULL */
};

#endif
