#include "pg/session.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/encoding.h"
#include "core/log.h"
#include "core/lsn.h"
#include "core/mem.h"
#include "core/stop.h"
#include "connect.h"
#include "group_members.h"
#include "notice.h"
#include "pg/pipeline.h"
#include "pg/sqlstate.h"
#include "results.h"
#include "session_struct.h"
#include "settings_pin.h"

static const char sql_switch_settings[] = "SELECT pg_catalog.set_config(s.key, s.value, false) FROM "
                                          "pg_catalog.jsonb_each_text($1::pg_catalog.jsonb) AS s(key, value)";

static void
collect_notice(void *arg, const PGresult *res)
{
    struct session *s = arg;
    const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    if (s->notices != NULL && message != NULL) {
        buffer_add_text(s->notices, message);
        buffer_add_char(s->notices, '\n');
    } else {
        notice_log(res);
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
    const char *file = PQresultErrorField(res, PG_DIAG_SOURCE_FILE);

    if (message == NULL)
        return results_connection_error(s, err);
    error_set(err, kind, "%s", message);
    if (detail != NULL)
        error_detail(err, "%s", detail);
    if (hint != NULL)
        error_hint(err, "%s", hint);
    if (state != NULL && strlen(state) == 5)
        memcpy(err->sqlstate, state, 6);
    snprintf(err->source, sizeof(err->source), "%s", file != NULL ? file : "unknown");
    err->inside = PQresultErrorField(res, PG_DIAG_CONTEXT) != NULL;
    err->connection_lost = PQstatus(s->conn) == CONNECTION_BAD || sqlstate_is_transient(err->sqlstate, false);
    return false;
}

/*
 * A pooler passes the server's sessions from one client to another. Then the application's sessions would
 * have the program's settings (an empty search_path above all), and the program would lose its locks,
 * settings and prepared statements. A pooler is recognised by the process id that it gives to its clients for
 * cancelling: it is not that of the server process. This check comes before any setting, so that nothing is
 * changed in the lent session.
 */
static bool
check_direct(struct session *s, struct error *err)
{
    struct result res = {0};
    bool ok;

    if (PQsendQuery(s->conn, "SELECT pg_catalog.pg_backend_pid() AS pid") == 0)
        return results_connection_error(s, err);
    if (!results_collect(s, &res, err))
        return false;
    ok = result_rows(&res) == 1 && row_int(&res, 0, "pid") == PQbackendPID(s->conn);
    result_free(&res);
    if (!ok) {
        error_set(err, ERROR_REFUSED, "there is a connection pooler between pgrecast and the server");
        error_detail(err, "A job needs sessions of its own, and a replication connection.");
        error_hint(err, "Connect to the server itself: its own host and port, not those of the pooler. The "
                        "application may go on using the pooler.");
    }
    return ok;
}

const char *
session_encoding(const struct session *s)
{
    const char *encoding = PQparameterStatus(s->conn, "server_encoding");

    return encoding != NULL && strcmp(encoding, "UTF8") != 0 ? encoding : NULL;
}

/* Values in the stream have to arrive unchanged. The server has no conversion of MULE_INTERNAL to UTF-8. */
static const char *
client_encoding(const struct session *s)
{
    const char *encoding = session_encoding(s);

    if (encoding == NULL || (s->kind != SESSION_REPLICATION && strcmp(encoding, "MULE_INTERNAL") != 0))
        return "UTF8";
    return encoding;
}

bool
session_encode(struct session *s, const char *text, char **bytes, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(s, &res, err,
                          "SELECT pg_catalog.encode(pg_catalog.convert_to($1, "
                          "pg_catalog.getdatabaseencoding()), 'hex') AS bytes",
                          1, text);

    *bytes = ok ? encoding_unhex(row_text(&res, 0, "bytes")) : NULL;
    result_free(&res);
    return ok;
}

const char *
session_pin_sql(struct session *s)
{
    const struct session_settings *settings = &s->settings;

    if (s->pin == NULL)
        s->pin = settings_pin_sql(session_major(s), client_encoding(s),
                                  !s->adopted                     ? NULL
                                  : s->kind == SESSION_EVALUATION ? settings->evaluation
                                                                  : settings->transport,
                                  &s->limits);
    return s->pin;
}

void
session_set_limits(struct session *s, const struct session_limits *limits)
{
    s->limits = limits != NULL ? *limits : (struct session_limits){0};
    free(s->pin);
    s->pin = NULL;
}

bool
session_pin(struct session *s, struct error *err)
{
    return session_execute(s, err, session_pin_sql(s));
}

static void
take_settings(struct session *s, const struct session_settings *settings)
{
    session_settings_clear(&s->settings);
    s->settings = (struct session_settings){
        .evaluation = mem_strdup(settings->evaluation),
        .transport = mem_strdup(settings->transport),
        .differ = settings->differ,
    };
    s->adopted = true;
    free(s->pin);
    s->pin = NULL;
}

bool
session_settings_adopt(struct session *s, const struct session_settings *settings, struct error *err)
{
    take_settings(s, settings);
    return session_pin(s, err) || error_context(err, "setting up the session as the job needs it");
}

void
session_set_users_path(struct session *s, const char *path)
{
    free(s->users_path);
    s->users_path = path != NULL ? mem_strdup(path) : NULL;
}

bool
session_users_path(struct session *s, struct error *err)
{
    return s->users_path == NULL
               ? session_execute(s, err, "SET LOCAL search_path TO DEFAULT")
               : session_query(s, NULL, err, "SELECT pg_catalog.set_config('search_path', $1, true)", 1,
                               s->users_path);
}

const struct session_settings *
session_settings(struct session *s, struct error *err)
{
    if (s->settings.evaluation == NULL && !session_settings_read(s, NULL, &s->settings, err))
        return NULL;
    return &s->settings;
}

static bool
switch_settings(struct session *s, bool evaluation, struct error *err)
{
    const struct session_settings *settings;

    /* without a job's settings it has one set only: the settings that it began with */
    if (s->kind == SESSION_EVALUATION && !s->adopted)
        return true;
    settings = session_settings(s, err);
    return settings != NULL &&
           (!settings->differ || session_query(s, NULL, err, sql_switch_settings, 1,
                                               evaluation ? settings->evaluation : settings->transport));
}

bool
session_evaluate(struct session *s, struct error *err)
{
    return switch_settings(s, true, err);
}

bool
session_transport(struct session *s, struct error *err)
{
    return switch_settings(s, false, err);
}

/* The function has settings of its own, so it is never inlined. */
bool
session_make_text_function(struct session *s, struct error *err)
{
    return session_execute(s, err,
                           "CREATE OR REPLACE FUNCTION " SESSION_TEXT_FUNCTION
                           "(pg_catalog.anyelement) RETURNS pg_catalog.text LANGUAGE sql STABLE STRICT "
                           "SET \"DateStyle\" = 'ISO' SET \"IntervalStyle\" = 'postgres' "
                           "SET extra_float_digits = 3 SET bytea_output = 'hex' "
                           "AS $$SELECT pg_catalog.format('%s', $1)$$");
}

/* No standby has to confirm the commit of this transaction. */
static bool
prepare_evaluation(struct session *s, struct error *err)
{
    return s->kind != SESSION_EVALUATION || !s->adopted || !s->settings.differ ||
           (session_execute(s, err, "BEGIN; SET LOCAL synchronous_commit = off") &&
            session_make_text_function(s, err) && session_execute(s, err, "COMMIT"));
}

void
session_add_settings(struct session *s, struct pipeline *p, bool evaluation)
{
    const char *json = evaluation ? s->settings.evaluation : s->settings.transport;

    if (s->adopted && s->settings.differ)
        pipeline_add_params(p, sql_switch_settings, 1, &json);
}

/* A setting that not every server has, or not every role may change. */
static void
set_where_possible(struct session *s, const char *name, const char *value)
{
    struct error ignored = {0};
    char *sql = mem_printf("SELECT pg_catalog.set_config('%s', '%s', false)", name, value);

    session_execute(s, &ignored, sql);
    error_clear(&ignored);
    free(sql);
}

/* An administrator can make this setting the default of a role that may not set it. */
static bool
is_replica(struct session *s)
{
    struct result res = {0};
    struct error ignored = {0};
    bool replica =
        session_row(
            s, &res, &ignored,
            "SELECT pg_catalog.textne(pg_catalog.current_setting('session_replication_role'), 'origin') "
            "AS replica",
            0) &&
        row_bool(&res, 0, "replica");

    result_free(&res);
    error_clear(&ignored);
    return replica;
}

#define BEGIN_TRIES 50

/*
 * A default of the role or the database can be so short a statement_timeout that it ends the statement which sets
 * up the session. So the limit is lifted first, by a statement that is as short as can be, and what was ended is
 * tried again. Behind a pooler nothing may be set.
 */
static bool
session_begin(struct session *s, struct error *err)
{
    bool ok = false;

    for (int i = 0; !ok && i < BEGIN_TRIES; i++) {
        error_clear(err);
        ok = (s->kind == SESSION_REPLICATION || check_direct(s, err)) &&
             session_execute(s, err, "SET statement_timeout = 0") && session_pin(s, err);
        if (!ok && !sqlstate_is(err, SQLSTATE_QUERY_CANCELED))
            break;
    }
    return ok;
}

static bool
explain_pin(struct session *s, struct error *err)
{
    if (!sqlstate_is(err, SQLSTATE_INSUFFICIENT_PRIVILEGE) || !is_replica(s))
        return error_context(err, "setting up the session");
    error_set(err, ERROR_REFUSED, "session_replication_role is not origin in the sessions of this role");
    error_detail(err,
                 "Triggers and foreign keys would not work as in the application's sessions, and the role "
                 "may not set it back.");
    return error_hint(err, "As a superuser, see where it is set: SELECT * FROM pg_db_role_setting; then "
                           "ALTER ROLE or ALTER DATABASE ... RESET session_replication_role.");
}

struct session *
session_open(const struct connection_options *options, enum session_kind kind, const char *purpose,
             struct error *err)
{
    struct session *s = mem_alloc(sizeof(*s));

    s->kind = kind;
    if (options->settings != NULL)
        take_settings(s, options->settings);
    s->conn = server_connect(options, kind, purpose, collect_notice, s, err);
    if (s->conn == NULL) {
        session_close(s);
        return NULL;
    }
    s->cancel = PQgetCancel(s->conn);
    s->group = options->group;
    s->pid = PQbackendPID(s->conn);
    if (s->group != NULL)
        group_add(s->group, s->pid);
    if (!session_begin(s, err) || !prepare_evaluation(s, err)) {
        if (err->kind != ERROR_REFUSED)
            explain_pin(s, err);
        session_close(s);
        return NULL;
    }
    if (kind == SESSION_REPLICATION)
        set_where_possible(s, "wal_sender_timeout", "30s");
    /*
     * so that the server ends a long statement of a client that has vanished; not available on every platform
     */
    else
        set_where_possible(s, "client_connection_check_interval", "10s");
    return s;
}

void
session_close(struct session *s)
{
    if (s == NULL)
        return;
    if (s->group != NULL)
        group_remove(s->group, s->pid);
    PQfreeCancel(s->cancel);
    PQfinish(s->conn);
    session_settings_clear(&s->settings);
    free(s->users_path);
    free(s->pin);
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

bool
session_is_idle(const struct session *s)
{
    return PQtransactionStatus(s->conn) == PQTRANS_IDLE && PQpipelineStatus(s->conn) == PQ_PIPELINE_OFF;
}

void
session_cancel(struct session *s)
{
    char message[256];

    if (s->cancel != NULL)
        PQcancel(s->cancel, message, sizeof(message));
}

void
session_set_deadline(struct session *s, int64_t clock_at_ms)
{
    s->deadline_ms = clock_at_ms;
}
