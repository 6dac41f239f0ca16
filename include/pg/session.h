/*
 * A session with the server. Every session is opened by session_open(), which pins all settings that
 * influence how values are written or names are found, so that two sessions never see a row differently.
 *
 * Refuses: a connection pooler between program and server (ERROR_REFUSED; nothing is changed in the session
 * that it lends), waiting without limit on a socket (every wait also watches for a stop), and statements
 * whose text contains values: those have to be parameters. Not thread-safe: a session belongs to one thread.
 */
#ifndef PGRECAST_PG_SESSION_H
#define PGRECAST_PG_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <libpq-fe.h>

#include "core/buffer.h"
#include "core/error.h"
#include "core/lsn.h"
#include "pg/group.h"
#include "pg/params.h"
#include "pg/settings.h"

/*
 * How to reach the server: libpq keywords given on the command line; for the rest, libpq's own defaults
 * apply.
 */
struct connection_options {
    char *dbname; /* a name, a conninfo string or a URI; NULL: default */
    char *host;
    char *port;
    char *user;
    char *password;
    bool no_password; /* -w */
    const struct session_settings
        *settings; /* of the job (pg/settings.h); they must outlive this struct. NULL: the session's own */
    struct session_group *group; /* of the job (pg/group.h); it must outlive the sessions. NULL: none */
};

/*
 * Append the options as they are written in a shell, each with a space before it, so that a command can be
 * pasted. There are no passwords: from a conninfo string or a URI, whatever libpq marks as one is left out.
 */
void connection_add_options(const struct connection_options *options, struct buffer *out);

struct session; /* opaque */

enum session_kind {
    SESSION_SQL,         /* for the program's own statements: settings of transport */
    SESSION_EVALUATION,  /* for statements that evaluate the user's expressions: settings of evaluation */
    SESSION_REPLICATION, /* replication=database; settings of transport */
};

/*
 * Open a session named "pgrecast PURPOSE" in pg_stat_activity. Pins the settings of its kind (pg/settings.h),
 * client_encoding, an empty search_path and more. Both sides notice within about half a minute that the other
 * has vanished, unless the user's connection string, service file or environment say otherwise.
 *
 * Returns NULL on failure. connection_lost is set if another try may succeed (no answer, or the server
 * starts, stops, recovers or has no connection left). It is not set if the server refuses (wrong password, no
 * such database) or the options are wrong.
 */
struct session *session_open(const struct connection_options *options, enum session_kind kind,
                             const char *purpose, struct error *err);
void session_close(struct session *s); /* NULL-safe */

/*
 * The search_path that the user's SQL sets, as set_config() takes it; it is copied. NULL: that of the role and the
 * database.
 */
void session_set_users_path(struct session *s, const char *path);
/* Until the end of the transaction, names are resolved as in the user's SQL. */
bool session_users_path(struct session *s, struct error *err);

PGconn *session_conn(struct session *s); /* for COPY and replication; owned by the session */

int session_version(const struct session *s); /* server_version_num, e.g. 150018 */
int session_major(const struct session *s);   /* 14 … 18 */
int session_backend_pid(const struct session *s);
bool
session_is_idle(const struct session *s); /* no statement is running, no transaction or pipeline is open */

/*
 * The encoding of the database as the server names it; NULL: UTF-8. Texts go to the server in UTF-8, and come
 * from it in UTF-8. There are two exceptions: what a COPY in text form sends to the server, which has to name
 * this encoding, and what comes through a SESSION_REPLICATION. There, values are in the encoding of the
 * database, because some have no form in UTF-8.
 */
const char *session_encoding(const struct session *s);

/* The text in the encoding of the database. The caller frees it. */
bool session_encode(struct session *s, const char *text, char **bytes, struct error *err);

/* One result; rows count from 0. */
struct result {
    PGresult *res;
};

void result_free(struct result *r); /* safe on a zeroed one */
int result_rows(const struct result *r);
int64_t result_affected(const struct result *r); /* rows the command touched */

/*
 * A value by the name of its column. A name that the result does not have is a mistake in this program and
 * ends it. If two columns have the name, it is the first. SQL NULL gives NULL, 0 or false. The text belongs
 * to the result; a copy belongs to the caller.
 */
bool row_null(const struct result *r, int row, const char *column);
const char *row_text(const struct result *r, int row, const char *column);
char *row_copy(const struct result *r, int row, const char *column);
int64_t row_int(const struct result *r, int row, const char *column);
uint64_t row_uint(const struct result *r, int row, const char *column);
double row_real(const struct result *r, int row, const char *column);
lsn_t row_lsn(const struct result *r, int row, const char *column);
bool row_bool(const struct result *r, int row, const char *column);

/*
 * A value by the position of its column, from 0; otherwise like row_text(). Only for columns whose names the
 * program does not know: those of a user's key.
 */
const char *result_text(const struct result *r, int row, int col);

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

/* Both with parameters of any kind, see pg/params.h. */
bool session_query_with(struct session *s, struct result *out, struct error *err, const char *sql,
                        const struct params *p);
bool session_row_with(struct session *s, struct result *out, struct error *err, const char *sql,
                      const struct params *p);

/* Run a text of one or more statements without parameters or results (simple protocol). */
bool session_execute(struct session *s, struct error *err, const char *sql);

/*
 * Prepare and plan a statement with parameters under a name (a plain one, not quoted), once in the session's
 * life: a statement of that name that exists is kept. It is one plan for all values: the session's
 * plan_cache_mode is changed for it. To be run in a pipeline (pg/pipeline.h).
 */
bool session_prepare(struct session *s, struct error *err, const char *name, const char *sql);

/*
 * session_query() in two halves: the server works in between, and the session must not be used for anything
 * else. What was sent must be received.
 */
bool session_send(struct session *s, struct error *err, const char *sql, int nparams, ...);
bool session_receive(struct session *s, struct result *out, struct error *err);

/*
 * What is running at that time (by clock_ms(); 0: no limit) is then cancelled, once: an error like any other,
 * with SQLSTATE 57014. The cancel may hit the following statement instead.
 */
void session_set_deadline(struct session *s, int64_t clock_at_ms);

/* printf into a statement, then session_execute(). Only for text made of quoted identifiers and numbers. */
bool session_executef(struct session *s, struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* COMMIT. It is an error too if the server rolls back instead, because the transaction had failed before. */
bool session_commit(struct session *s, struct error *err);

/*
 * Run the statements of the list in one round trip (pg/pipeline.h), each without parameters; results are
 * dropped. The error names the first statement that failed.
 */
bool session_pipeline(struct session *s, struct error *err, const char *const *sql, int count);

/* ROLLBACK if a transaction is open; errors are ignored (the session may be gone). */
void session_rollback(struct session *s);

/*
 * Ask the server to cancel what the session is doing. It is the only function that a thread other than the
 * session's own may call, as long as the session is open.
 */
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

/* Collects NOTICE and DEBUG messages of the server in buf, one a line, until it is called with NULL. */
void session_collect_notices(struct session *s, struct buffer *buf);

#endif
