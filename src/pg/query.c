/* Statements of a session: what is sent, and what the server answers. */
#include "pg/session.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "pg/sqlstate.h"
#include "core/stop.h"
#include "group_members.h"
#include "results.h"
#include "session_struct.h"

#define MAX_PARAMS 32
#define POLL_MS 200

static int
wait_ms(const struct session *s)
{
    int64_t left = s->deadline_ms != 0 ? s->deadline_ms - clock_ms() : POLL_MS;

    return left > POLL_MS ? POLL_MS : left > 0 ? (int)left : 0;
}

/*
 * Wait until the socket has something to read, and read it. A stop request cancels the statement once. The
 * statement's result (usually query_canceled) is still awaited after that, so that the session can be used
 * for the clean-up.
 */
static bool
wait_readable(struct session *s, bool *cancelled, struct error *err)
{
    struct pollfd fds[2] = {
        {.fd = PQsocket(s->conn), .events = POLLIN},
        {.fd = *cancelled ? -1 : stop_fd(), .events = POLLIN},
    };

    /* Never wait without a limit: with TLS the library may hold bytes while the socket has none. */
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
    if (s->group != NULL)
        group_wait(s->group, s, clock_ms() - s->asked_ms);
    if (PQconsumeInput(s->conn) == 0)
        return results_connection_error(s, err);
    return true;
}

/* The statement was cancelled because the program is to stop: the server's words would name another reason. */
static void
note_stop(struct error *err)
{
    err->stopped = true;
    if (!sqlstate_is(err, SQLSTATE_QUERY_CANCELED))
        return;
    free(err->message);
    free(err->detail);
    err->message = mem_strdup("stopped on request");
    err->detail = NULL;
}

bool
results_next(struct session *s, PGresult **res, bool *cancelled, struct error *err)
{
    s->asked_ms = clock_ms();
    while (PQisBusy(s->conn)) {
        if (!wait_readable(s, cancelled, err))
            return false;
    }
    *res = PQgetResult(s->conn);
    return true;
}

bool
results_next_after(struct session *s, PGresult **res, bool *cancelled, bool ok, struct error *err)
{
    struct error later = {0};

    if (results_next(s, res, cancelled, &later))
        return true;
    if (ok)
        error_move(err, &later);
    else
        err->connection_lost = err->connection_lost || later.connection_lost;
    error_clear(&later);
    return false;
}

bool
results_failed(const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);

    return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE || status == PGRES_PIPELINE_ABORTED;
}

bool
results_collect(struct session *s, struct result *out, struct error *err)
{
    bool ok = true, cancelled = false;
    PGresult *res;

    for (;;) {
        if (!results_next_after(s, &res, &cancelled, ok, err)) {
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
        note_stop(err);
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
    return results_collect(s, out, err);
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

/* The statement had to return exactly one row. */
static bool
require_row(struct result *out, const char *sql, struct error *err)
{
    if (result_rows(out) == 1)
        return true;
    error_set(err, ERROR_FAILED, "expected one row, got %d, from: %.200s", result_rows(out), sql);
    result_free(out);
    return false;
}

bool
session_row(struct session *s, struct result *out, struct error *err, const char *sql, int nparams, ...)
{
    const char *params[MAX_PARAMS];
    va_list args;

    va_start(args, nparams);
    gather(params, nparams, args);
    va_end(args);
    return session_query_params(s, out, err, sql, nparams, params) && require_row(out, sql, err);
}

bool
session_query_with(struct session *s, struct result *out, struct error *err, const char *sql,
                   const struct params *p)
{
    const char *values[PARAMS_MOST];

    params_values(p, values);
    return session_query_params(s, out, err, sql, p->count, values);
}

bool
session_row_with(struct session *s, struct result *out, struct error *err, const char *sql,
                 const struct params *p)
{
    return session_query_with(s, out, err, sql, p) && require_row(out, sql, err);
}

bool
session_execute(struct session *s, struct error *err, const char *sql)
{
    if (PQsendQuery(s->conn, sql) == 0)
        return results_connection_error(s, err);
    return results_collect(s, NULL, err);
}

bool
session_commit(struct session *s, struct error *err)
{
    struct result res = {0};
    bool ok = (PQsendQuery(s->conn, "COMMIT") != 0 || results_connection_error(s, err)) &&
              results_collect(s, &res, err);

    if (ok && strcmp(PQcmdStatus(res.res), "COMMIT") != 0) {
        error_set(err, ERROR_FAILED, "the server rolled the transaction back at its commit");
        ok = false;
    }
    result_free(&res);
    return ok;
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

/* The server plans a prepared statement at its first execution, or for EXPLAIN. */
static bool
make_plan(struct session *s, const char *name, struct error *err)
{
    struct result res = {0};
    struct buffer sql = {0};
    bool ok = (PQsendDescribePrepared(s->conn, name) != 0 || results_connection_error(s, err)) &&
              results_collect(s, &res, err);

    buffer_printf(&sql, "EXPLAIN EXECUTE %s (", name);
    for (int i = 0; ok && i < PQnparams(res.res); i++)
        buffer_add_text(&sql, i > 0 ? ", NULL" : "NULL");
    buffer_add_char(&sql, ')');
    ok = ok && session_execute(s, err, sql.data);
    result_free(&res);
    buffer_free(&sql);
    return ok;
}

/*
 * A statement of that name that was made with PREPARE is not the program's: code of the tables has made it.
 */
static bool
drop_foreign(struct session *s, const char *name, struct error *err)
{
    struct result res = {0};
    bool ok = session_query(
        s, &res, err, "SELECT FROM pg_catalog.pg_prepared_statements WHERE name = $1 AND from_sql", 1, name);

    if (ok && result_rows(&res) > 0)
        ok = session_executef(s, err, "DEALLOCATE %s", name);
    result_free(&res);
    return ok;
}

bool
session_prepare(struct session *s, struct error *err, const char *name, const char *sql)
{
    struct result res = {0};
    bool ok = session_pin(s, err) &&
              session_query(s, &res, err,
                            "SELECT FROM pg_catalog.pg_prepared_statements WHERE name = $1 AND NOT from_sql",
                            1, name);

    if (ok && result_rows(&res) == 0)
        ok = drop_foreign(s, name, err) &&
             session_execute(s, err, "SET plan_cache_mode = force_generic_plan") &&
             (PQsendPrepare(s->conn, name, sql, 0, NULL) != 0 || results_connection_error(s, err)) &&
             results_collect(s, NULL, err) && make_plan(s, name, err);
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
    return results_collect(s, out, err);
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
                session_cancel(s); /* the rest is read and dropped until the server has noticed the cancel */
            }
            PQfreemem(data);
        } else {
            break;
        }
    }
    if (ok) {
        ok = results_collect(s, NULL, err);
        if (!ok && cancelled)
            note_stop(err);
    } else {
        struct error ignored = {0};
        results_collect(s, NULL, &ignored);
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
        results_collect(s, NULL, &ignored);
        error_clear(&ignored);
        return false;
    }
    return results_collect(s, NULL, err);
}
