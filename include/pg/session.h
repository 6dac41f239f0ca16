/*
 * A session with the server. Every one is opened by session_open(), which pins all settings that change how
 * values are written or names are found, so that two sessions never see one row differently.
 *
 * Refuses: a connection pooler in between (ERROR_REFUSED; nothing is changed in the session that it lends),
 * waiting without end on a socket (every wait also watches for a stop), and statements whose text holds
 * values: those are parameters. Not thread-safe: a session belongs to one thread.
 */
#ifndef PGRECAST_PG_SESSION_H
#define PGRECAST_PG_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <libpq-fe.h>

#include "core/buffer.h"
#include "core/error.h"

/* How to reach the server: libpq keywords given on the command line; the rest is libpq's own defaults. */
struct connection_options {
    char *dbname; /* a name, a conninfo string or a URI; NULL: default */
    char *host;
    char *port;
    char *user;
    char *password;
    bool no_password; /* -w */
};

struct session; /* opaque */

enum session_kind {
    SESSION_SQL,
    SESSION_REPLICATION, /* replication=database */
};

/*
 * Open a session named "pgrecast PURPOSE" in pg_stat_activity. Pins DateStyle, IntervalStyle,
 * extra_float_digits, bytea_output, xmloption, client_encoding, an empty search_path and more. Both sides
 * notice within about half a minute that the other has vanished, unless the user's connection string, service
 * file or environment say otherwise.
 *
 * Returns NULL on failure: connection_lost when another try may succeed (no answer, or the server starts,
 * stops, recovers or has no connection left), not when it refuses (wrong password, no such database) or the
 * options are wrong.
 */
struct session *session_open(const struct connection_options *options, enum session_kind kind,
                             const char *purpose, struct error *err);
void session_close(struct session *s); /* NULL-safe */

PGconn *session_conn(struct session *s);      /* for COPY and replication; owned by the session */
int session_version(const struct session *s); /* server_version_num, e.g. 150018 */
int session_major(const struct session *s);   /* 14 … 18 */
int session_backend_pid(const struct session *s);

/* One result; rows and columns count from 0. NULL-safe where it says so. */
struct result {
    PGresult *res;
};

void result_free(struct result *r); /* safe on a zeroed one */
int result_rows(const struct result *r);
bool result_null(const struct result *r, int row, int col);
const char *result_text(const struct result *r, int row,
                        int col);                              /* NULL for SQL NULL; owned by the result */
int64_t result_int(const struct result *r, int row, int col);  /* 0 for NULL */
uint64_t result_lsn(const struct result *r, int row, int col); /* 0 for NULL */
bool result_bool(const struct result *r, int row, int col);    /* false for NULL */
int64_t result_affected(const struct result *r);               /* rows the command touched */

/*
 * Run one statement with text parameters ($1 …; NULL for SQL NULL). out may be NULL. On an error the struct
 * holds message, detail, hint and SQLSTATE of the server.
 */
bool session_query(struct session *s, struct result *out, struct error *err, const char *sql, int nparams,
                   ...);
bool session_query_params(struct session *s, struct result *out, struct error *err, const char *sql,
                          int nparams, const char *const *params);

/* The same, and the statement must return exactly one row; otherwise an error that says what was expected. */
bool session_row(struct session *s, struct result *out, struct error *err, const char *sql, int nparams, ...);

/* Run a text of one or more statements without parameters or results (simple protocol). */
bool session_execute(struct session *s, struct error *err, const char *sql);

/*
 * Prepare and plan a statement with parameters under a name (a plain one, not quoted), once in the session's
 * life: what is there stays. The plan is one for all values: the session's plan_cache_mode is changed for it.
 * To be run in a pipeline (pg/pipeline.h).
 */
bool session_prepare(struct session *s, struct error *err, const char *name, const char *sql);

/*
 * session_query() in two halves: the server works on it meanwhile, and the session is used for nothing else.
 * What was sent must be received.
 */
bool session_send(struct session *s, struct error *err, const char *sql, int nparams, ...);
bool session_receive(struct session *s, struct result *out, struct error *err);

/*
 * What is under way at that time (by clock_ms(), 0: none) is cancelled then, once: an error like any other,
 * with SQLSTATE 57014. It may meet the statement after it instead.
 */
void session_set_deadline(struct session *s, int64_t clock_at_ms);

/* printf into a statement, then session_execute(). Only for text made of quoted identifiers and numbers. */
bool session_executef(struct session *s, struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Run the statements of the list in one round trip (pg/pipeline.h), each without parameters, results dropped.
 * The error names the first that failed. */
bool session_pipeline(struct session *s, struct error *err, const char *const *sql, int count);

/* ROLLBACK where a transaction is open; errors are ignored (the session may be gone). */
void session_rollback(struct session *s);

/* Ask the server to cancel what the session is doing. The one function for another thread than the session's
 * own. */
void session_cancel(struct session *s);

/* Binary or text COPY out: calls row for each CopyData message; row returns false to end with err set. */
typedef bool (*session_copy_row)(void *arg, const char *data, size_t len, struct error *err);
bool session_copy_out(struct session *s, struct error *err, const char *sql, session_copy_row row, void *arg);

/* COPY … FROM STDIN: begin, then data in any pieces, then end (or end with failed = true to cancel). */
bool session_copy_in_begin(struct session *s, struct error *err, const char *sql);
bool session_copy_in_data(struct session *s, struct error *err, const char *data, size_t len);
bool session_copy_in_end(struct session *s, struct error *err, bool failed);

/*
 * Set err from the server's result (message, detail, hint, SQLSTATE) as kind. connection_lost when the
 * connection is bad or the server has ended the session. Returns false.
 */
bool session_error(struct session *s, const PGresult *res, enum error_kind kind, struct error *err);

/* Collects NOTICE/DEBUG messages of the server in buf, one a line, until called with NULL. */
void session_collect_notices(struct session *s, struct buffer *buf);

#endif
