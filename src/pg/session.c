#include "pg/session.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/lsn.h"
#include "core/mem.h"
#include "core/stop.h"
#include "connect.h"
#include "results.h"

#define MAX_PARAMS 32
#define POLL_MS 200

struct session {
    PGconn *conn;
    struct buffer *notices; /* where to collect them, or NULL to drop them */
    int64_t deadline_ms;    /* by clock_ms(); 0: none */
};

/*
 * What every session pins, so that a value is written and read alike everywhere and nothing of the role's or
 * the database's defaults ends or filters a statement. DateStyle 'ISO' changes the output only: how the
 * user's server reads an ambiguous date in a text (DMY, MDY) stays, as do TimeZone and lc_monetary, because
 * ALTER TABLE would use them.
 */
static const char *const pinned_settings[][2] = {
    {"client_encoding", "UTF8"},
    {"DateStyle", "ISO"},
    {"IntervalStyle", "postgres"},
    {"extra_float_digits", "3"},
    {"bytea_output", "hex"},
    {"xmloption", "content"},
    {"array_nulls", "on"},
    {"search_path", ""},
    {"standard_conforming_strings", "on"},
    {"row_security", "off"}, /* an error instead of rows silently left out */
    {"statement_timeout", "0"},
    {"lock_timeout", "0"},
    {"idle_in_transaction_session_timeout", "0"},
    {"idle_session_timeout", "0"},
    {"exit_on_error", "off"}, /* a lock that is not free is an error, and no end */
    {"quote_all_identifiers", "off"},
    {"default_transaction_isolation", "read committed"},
    {"default_transaction_read_only", "off"},
    {"default_tablespace", ""},
    {"default_table_access_method", "heap"},
    {"jit", "off"},
    /* The server lets go of a client that has vanished (of its locks, its slot) in about half a minute. On a
     * Unix socket these have no effect. */
    {"tcp_keepalives_idle", "10"},
    {"tcp_keepalives_interval", "5"},
    {"tcp_keepalives_count", "3"},
    {"tcp_user_timeout", "30s"},
};

static bool collect_results(struct session *s, struct result *out, struct error *err);

static void
collect_notice(void *arg, const PGresult *res)
{
    struct session *s = arg;
    const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    if (s->notices != NULL && message != NULL) {
        buffer_add_text(s->notices, message);
        buffer_add_char(s->notices, '\n');
    }
}

void
session_collect_notices(struct session *s, struct buffer *buf)
{
    s->notices = buf;
}

/* libpq's messages end in a newline and may have several lines. */
static char *
on_one_line(const char *text)
{
    struct buffer line = {0};
    const char *end;

    buffer_add_text(&line, "");
    for (; *text != '\0'; text = end) {
        size_t len;

        text += strspn(text, " \t\n");
        len = strcspn(text, "\n");
        end = text + len;
        if (len > 0)
            buffer_printf(&line, "%s%.*s", line.len > 0 ? " " : "", (int)len, text);
    }
    return buffer_take(&line);
}

bool
results_connection_error(struct session *s, struct error *err)
{
    char *message = on_one_line(PQerrorMessage(s->conn));

    error_set(err, ERROR_FAILED, "%s",
              message[0] != '\0' ? message : "the connection to the server was lost");
    err->connection_lost = PQstatus(s->conn) == CONNECTION_BAD;
    free(message);
    return false;
}

bool
session_error(struct session *s, const PGresult *res, enum error_kind kind, struct error *err)
{
    const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

    if (message == NULL)
        return results_connection_error(s, err);
    error_set(err, kind, "%s", message);
    if (detail != NULL)
        error_detail(err, "%s", detail);
    if (hint != NULL)
        error_hint(err, "%s", hint);
    if (state != NULL && strlen(state) == 5)
        memcpy(err->sqlstate, state, 6);
    err->connection_lost = PQstatus(s->conn) == CONNECTION_BAD || sqlstate_is_transient(err->sqlstate, false);
    return false;
}

/*
 * A pooler hands the server's sessions from one client to another: the settings of ours would be found in the
 * application's (an empty search_path above all), and locks, settings and prepared statements of ours be
 * lost. It shows by the process that it names to its clients, for cancelling: one of its own invention. So
 * this comes before any setting, and nothing is left in the session that was lent.
 */
static bool
check_direct(struct session *s, struct error *err)
{
    struct result res = {0};
    bool ok;

    if (PQsendQuery(s->conn, "SELECT pg_catalog.pg_backend_pid()") == 0)
        return results_connection_error(s, err);
    if (!collect_results(s, &res, err))
        return false;
    ok = result_rows(&res) == 1 && result_int(&res, 0, 0) == PQbackendPID(s->conn);
    result_free(&res);
    if (!ok) {
        error_set(err, ERROR_REFUSED, "there is a connection pooler between pgrecast and the server");
        error_detail(err, "A job needs sessions of its own, and a replication connection.");
        error_hint(err, "Connect to the server itself: its own host and port, not those of the pooler. The "
                        "application may go on using the pooler.");
    }
    return ok;
}

static bool
pin_settings(struct session *s, struct error *err)
{
    struct buffer sql = {0};
    bool ok;

    buffer_add_text(&sql, "SELECT ");
    for (size_t i = 0; i < sizeof(pinned_settings) / sizeof(pinned_settings[0]); i++)
        buffer_printf(&sql, "%spg_catalog.set_config('%s', '%s', false)", i > 0 ? ", " : "",
                      pinned_settings[i][0], pinned_settings[i][1]);
    if (session_major(s) >= 17)
        buffer_add_text(&sql, ", pg_catalog.set_config('transaction_timeout', '0', false)");
    ok = session_execute(s, err, sql.data);
    buffer_free(&sql);
    return ok;
}

/* A setting that not every server or role may change. */
static void
set_where_possible(struct session *s, const char *name, const char *value)
{
    struct error ignored = {0};
    char *sql = mem_printf("SELECT pg_catalog.set_config('%s', '%s', false)", name, value);

    session_execute(s, &ignored, sql);
    error_clear(&ignored);
    free(sql);
}

struct session *
session_open(const struct connection_options *options, enum session_kind kind, const char *purpose,
             struct error *err)
{
    struct session *s = mem_alloc(sizeof(*s));

    s->conn = server_connect(options, kind, purpose, err);
    if (s->conn == NULL) {
        session_close(s);
        return NULL;
    }
    PQsetNoticeReceiver(s->conn, collect_notice, s);
    if ((kind == SESSION_SQL && !check_direct(s, err)) || !pin_settings(s, err)) {
        if (err->kind != ERROR_REFUSED)
            error_context(err, "setting up the session");
        session_close(s);
        return NULL;
    }
    if (kind == SESSION_REPLICATION)
        set_where_possible(s, "wal_sender_timeout", "30s");
    else /* so that a long statement of a client that is gone ends; not known on every platform */
        set_where_possible(s, "client_connection_check_interval", "10s");
    return s;
}

void
session_close(struct session *s)
{
    if (s == NULL)
        return;
    PQfinish(s->conn);
    free(s);
}

PGconn *
session_conn(struct session *s)
{
    return s->conn;
}

int
session_version(const struct session *s)
{
    return PQserverVersion(s->conn);
}

int
session_major(const struct session *s)
{
    return PQserverVersion(s->conn) / 10000;
}

int
session_backend_pid(const struct session *s)
{
    return PQbackendPID(s->conn);
}

void
result_free(struct result *r)
{
    PQclear(r->res);
    r->res = NULL;
}

int
result_rows(const struct result *r)
{
    return r->res == NULL ? 0 : PQntuples(r->res);
}

bool
result_null(const struct result *r, int row, int col)
{
    return PQgetisnull(r->res, row, col);
}

const char *
result_text(const struct result *r, int row, int col)
{
    return PQgetisnull(r->res, row, col) ? NULL : PQgetvalue(r->res, row, col);
}

int64_t
result_int(const struct result *r, int row, int col)
{
    const char *text = result_text(r, row, col);

    return text == NULL ? 0 : strtoll(text, NULL, 10);
}

uint64_t
result_lsn(const struct result *r, int row, int col)
{
    const char *text = result_text(r, row, col);
    lsn_t lsn = 0;

    if (text != NULL)
        lsn_parse(text, &lsn);
    return lsn;
}

bool
result_bool(const struct result *r, int row, int col)
{
    const char *text = result_text(r, row, col);

    return text != NULL && text[0] == 't';
}

int64_t
result_affected(const struct result *r)
{
    return r->res == NULL ? 0 : strtoll(PQcmdTuples(r->res), NULL, 10);
}

void
session_cancel(struct session *s)
{
    PGcancel *handle = PQgetCancel(s->conn);
    char message[256];

    if (handle != NULL)
        PQcancel(handle, message, sizeof(message));
    PQfreeCancel(handle);
}

void
session_set_deadline(struct session *s, int64_t clock_at_ms)
{
    s->deadline_ms = clock_at_ms;
}

static int
wait_ms(const struct session *s)
{
    int64_t left = s->deadline_ms != 0 ? s->deadline_ms - clock_ms() : POLL_MS;

    return left > POLL_MS ? POLL_MS : left > 0 ? (int)left : 0;
}

/*
 * Wait until the socket has something to read and take it in. A stop request cancels the statement once; its
 * result (usually query_canceled) is then still waited for, so that the session stays usable for the
 * clean-up.
 */
static bool
wait_readable(struct session *s, bool *cancelled, struct error *err)
{
    struct pollfd fds[2] = {
        {.fd = PQsocket(s->conn), .events = POLLIN},
        {.fd = *cancelled ? -1 : stop_fd(), .events = POLLIN},
    };

    /* Never without end: with TLS bytes may rest in the library while the socket is silent. */
    if (poll(fds, 2, wait_ms(s)) < 0 && errno != EINTR)
        return error_set(err, ERROR_FAILED, "waiting for the server: %s", strerror(errno));
    if (s->deadline_ms != 0 && clock_ms() >= s->deadline_ms) {
        s->deadline_ms = 0;
        session_cancel(s);
    }
    if (!*cancelled && stop_requested()) {
        session_cancel(s);
        *cancelled = true;
    }
    if (PQconsumeInput(s->conn) == 0)
        return results_connection_error(s, err);
    return true;
}

bool
results_next(struct session *s, PGresult **res, bool *cancelled, struct error *err)
{
    while (PQisBusy(s->conn)) {
        if (!wait_readable(s, cancelled, err))
            return false;
    }
    *res = PQgetResult(s->conn);
    return true;
}

bool
results_failed(const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);

    return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE || status == PGRES_PIPELINE_ABORTED;
}

/*
 * Take all results of what was sent. Keeps the last good one in out (may be NULL), the first error in err.
 * Ends early with a COPY result, which belongs to the caller.
 */
static bool
collect_results(struct session *s, struct result *out, struct error *err)
{
    bool ok = true, cancelled = false;
    PGresult *res;

    for (;;) {
        if (!results_next(s, &res, &cancelled, err)) {
            ok = false;
            break;
        }
        if (res == NULL)
            break;
        if (results_failed(res)) {
            if (ok)
                session_error(s, res, ERROR_FAILED, err);
            ok = false;
            PQclear(res);
            if (PQstatus(s->conn) == CONNECTION_BAD)
                break;
            continue;
        }
        ExecStatusType status = PQresultStatus(res);
        if (out != NULL && ok) {
            result_free(out);
            out->res = res;
        } else {
            PQclear(res);
        }
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH)
            break;
    }
    if (!ok && cancelled)
        err->stopped = true;
    if (!ok && out != NULL)
        result_free(out);
    return ok;
}

bool
session_query_params(struct session *s, struct result *out, struct error *err, const char *sql, int nparams,
                     const char *const *params)
{
    if (out != NULL)
        result_free(out);
    if (PQsendQueryParams(s->conn, sql, nparams, NULL, params, NULL, NULL, 0) == 0)
        return results_connection_error(s, err);
    return collect_results(s, out, err);
}

static void
gather(const char **params, int nparams, va_list args)
{
    if (nparams > MAX_PARAMS)
        abort(); /* a mistake in this program: the limit is for fixed statements */
    for (int i = 0; i < nparams; i++)
        params[i] = va_arg(args, const char *);
}

bool
session_query(struct session *s, struct result *out, struct error *err, const char *sql, int nparams, ...)
{
    const char *params[MAX_PARAMS];
    va_list args;

    va_start(args, nparams);
    gather(params, nparams, args);
    va_end(args);
    return session_query_params(s, out, err, sql, nparams, params);
}

bool
session_row(struct session *s, struct result *out, struct error *err, const char *sql, int nparams, ...)
{
    const char *params[MAX_PARAMS];
    va_list args;

    va_start(args, nparams);
    gather(params, nparams, args);
    va_end(args);
    if (!session_query_params(s, out, err, sql, nparams, params))
        return false;
    if (result_rows(out) != 1) {
        error_set(err, ERROR_FAILED, "expected one row, got %d, from: %.200s", result_rows(out), sql);
        result_free(out);
        return false;
    }
    return true;
}

bool
session_execute(struct session *s, struct error *err, const char *sql)
{
    if (PQsendQuery(s->conn, sql) == 0)
        return results_connection_error(s, err);
    return collect_results(s, NULL, err);
}

bool
session_executef(struct session *s, struct error *err, const char *fmt, ...)
{
    va_list args;
    char *sql;
    bool ok;

    va_start(args, fmt);
    sql = mem_vprintf(fmt, args);
    va_end(args);
    ok = session_execute(s, err, sql);
    free(sql);
    return ok;
}

/* The server plans at the first execution, or when it is to explain one. */
static bool
make_plan(struct session *s, const char *name, struct error *err)
{
    struct result res = {0};
    struct buffer sql = {0};
    bool ok = (PQsendDescribePrepared(s->conn, name) != 0 || results_connection_error(s, err)) &&
              collect_results(s, &res, err);

    buffer_printf(&sql, "EXPLAIN EXECUTE %s (", name);
    for (int i = 0; ok && i < PQnparams(res.res); i++)
        buffer_add_text(&sql, i > 0 ? ", NULL" : "NULL");
    buffer_add_char(&sql, ')');
    ok = ok && session_execute(s, err, sql.data);
    result_free(&res);
    buffer_free(&sql);
    return ok;
}

bool
session_prepare(struct session *s, struct error *err, const char *name, const char *sql)
{
    struct result res = {0};
    bool ok =
        session_query(s, &res, err, "SELECT FROM pg_catalog.pg_prepared_statements WHERE name = $1", 1, name);

    if (ok && result_rows(&res) == 0)
        ok = session_execute(s, err, "SET plan_cache_mode = force_generic_plan") &&
             (PQsendPrepare(s->conn, name, sql, 0, NULL) != 0 || results_connection_error(s, err)) &&
             collect_results(s, NULL, err) && make_plan(s, name, err);
    result_free(&res);
    return ok;
}

bool
session_send(struct session *s, struct error *err, const char *sql, int nparams, ...)
{
    const char *params[MAX_PARAMS];
    va_list args;

    va_start(args, nparams);
    gather(params, nparams, args);
    va_end(args);
    return PQsendQueryParams(s->conn, sql, nparams, NULL, params, NULL, NULL, 0) != 0 ||
           results_connection_error(s, err);
}

bool
session_receive(struct session *s, struct result *out, struct error *err)
{
    return collect_results(s, out, err);
}

void
session_rollback(struct session *s)
{
    struct error ignored = {0};

    if (s == NULL || PQstatus(s->conn) == CONNECTION_BAD || PQtransactionStatus(s->conn) == PQTRANS_IDLE)
        return;
    stop_hold();
    session_execute(s, &ignored, "ROLLBACK");
    stop_release();
    error_clear(&ignored);
}

/* Start a COPY and check that the server entered it. */
static bool
copy_begin(struct session *s, const char *sql, ExecStatusType wanted, struct error *err)
{
    struct result res = {0};
    bool ok;

    if (!session_query_params(s, &res, err, sql, 0, NULL))
        return false;
    ok = PQresultStatus(res.res) == wanted;
    result_free(&res);
    return ok ? true : error_set(err, ERROR_FAILED, "the server did not start a COPY for: %.200s", sql);
}

bool
session_copy_out(struct session *s, struct error *err, const char *sql, session_copy_row row, void *arg)
{
    bool ok = true, cancelled = false;

    if (!copy_begin(s, sql, PGRES_COPY_OUT, err))
        return false;
    for (;;) {
        char *data = NULL;
        int len = PQgetCopyData(s->conn, &data, 1);

        if (len == 0) {
            bool wait_ok = wait_readable(s, &cancelled, ok ? err : &(struct error){0});
            if (!wait_ok)
                return false;
        } else if (len > 0) {
            if (ok && !row(arg, data, (size_t)len, err)) {
                ok = false;
                session_cancel(s); /* the rest is read and dropped until the server has noticed */
            }
            PQfreemem(data);
        } else {
            break;
        }
    }
    if (ok) {
        ok = collect_results(s, NULL, err);
        err->stopped = !ok && cancelled;
    } else {
        struct error ignored = {0};
        collect_results(s, NULL, &ignored);
        error_clear(&ignored);
    }
    return ok;
}

bool
session_copy_in_begin(struct session *s, struct error *err, const char *sql)
{
    return copy_begin(s, sql, PGRES_COPY_IN, err);
}

bool
session_copy_in_data(struct session *s, struct error *err, const char *data, size_t len)
{
    const size_t most = 64 * 1024 * 1024; /* PQputCopyData takes an int */

    while (len > 0) {
        size_t piece = len < most ? len : most;

        if (PQputCopyData(s->conn, data, (int)piece) != 1)
            return results_connection_error(s, err);
        data += piece;
        len -= piece;
    }
    return true;
}

bool
session_copy_in_end(struct session *s, struct error *err, bool failed)
{
    if (PQputCopyEnd(s->conn, failed ? "cancelled" : NULL) != 1)
        return results_connection_error(s, err);
    if (failed) {
        struct error ignored = {0};
        collect_results(s, NULL, &ignored);
        error_clear(&ignored);
        return false;
    }
    return collect_results(s, NULL, err);
}
