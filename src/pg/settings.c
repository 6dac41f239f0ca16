#include "pg/settings.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "pg/session.h"
#include "settings_pin.h"
#include "sql/sql.h"

#define SETTING_REPLICATION_ROLE "session_replication_role"

/*
 * What every session pins, so that values are written and read in the same way everywhere, and so that no
 * default of the role or the database ends or filters a statement.
 */
static const char *const pinned_settings[][2] = {
    {"xmloption", "content"},
    {"array_nulls", "on"},
    {"search_path", ""},
    {"standard_conforming_strings", "on"},
    {"row_security", "off"}, /* an error instead of rows silently left out */
    {"idle_session_timeout", "0"},
    {"exit_on_error", "off"}, /* a lock that is not free is an error, but does not end the session */
    {"quote_all_identifiers", "off"},
    {"default_transaction_isolation", "read committed"},
    {"default_transaction_read_only", "off"},
    {"default_tablespace", ""},
    {"default_table_access_method", "heap"},
    {"jit", "off"},
    /*
     * The server releases the locks and the slot of a client that has vanished after about half a minute. On
     * a Unix socket these have no effect.
     */
    {"tcp_keepalives_idle", "10"},
    {"tcp_keepalives_interval", "5"},
    {"tcp_keepalives_count", "3"},
    {"tcp_user_timeout", "30s"},
};

/*
 * How values are written under transport. How an ambiguous date is read (DMY, MDY) stays as in the session.
 */
static const char *const transport_settings[][2] = {
    {"DateStyle", "ISO"},
    {"IntervalStyle", "postgres"},
    {"extra_float_digits", "3"},
    {"bytea_output", "hex"},
};

static void
add_settings(struct buffer *sql, const char *const settings[][2], size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffer_printf(sql, "%spg_catalog.set_config('%s', '%s', false)", sql->len > 0 ? ", " : "SELECT ",
                      settings[i][0], settings[i][1]);
}

static void
add_limit(struct buffer *sql, const char *name, int ms)
{
    buffer_printf(sql, ", pg_catalog.set_config('%s', '%d', false)", name, ms);
}

/*
 * Triggers and foreign keys work as in any session. Only some roles may set this, so it is set only where a default
 * of the role or the database has changed it.
 */
static void
add_replication_role(struct buffer *sql)
{
    buffer_add_text(sql, ", CASE WHEN pg_catalog.textne(pg_catalog.current_setting('" SETTING_REPLICATION_ROLE
                         "'), 'origin') THEN pg_catalog.set_config('" SETTING_REPLICATION_ROLE
                         "', 'origin', false) END");
}

/* It contains no operator, because the search_path may still be another one when it is analysed. */
static void
add_json(struct buffer *sql, const char *json)
{
    buffer_add_text(sql, ", (SELECT pg_catalog.count(pg_catalog.set_config(s.key, s.value, false)) FROM "
                         "pg_catalog.jsonb_each_text(");
    buffer_add_literal(sql, json);
    buffer_add_text(sql, "::pg_catalog.jsonb) AS s(key, value))");
}

char *
settings_pin_sql(int major, const char *client_encoding, const char *json,
                 const struct session_limits *limits)
{
    struct buffer sql = {0};

    /*
     * NULL is what the connection began with: a function can have set another role, since SET ROLE is no
     * boundary
     */
    buffer_add_text(&sql, "SELECT pg_catalog.set_config('session_authorization', NULL, false), "
                          "pg_catalog.set_config('role', NULL, false)");
    add_settings(&sql, (const char *const[][2]){{"client_encoding", client_encoding}}, 1);
    add_settings(&sql, pinned_settings, sizeof(pinned_settings) / sizeof(pinned_settings[0]));
    add_limit(&sql, "statement_timeout", limits->statement_ms);
    add_limit(&sql, "lock_timeout", limits->lock_ms);
    add_limit(&sql, "idle_in_transaction_session_timeout", limits->idle_ms);
    if (major >= 17)
        add_limit(&sql, "transaction_timeout", limits->transaction_ms);
    add_replication_role(&sql);
    if (json != NULL)
        add_json(&sql, json);
    else
        add_settings(&sql, transport_settings, sizeof(transport_settings) / sizeof(transport_settings[0]));
    return buffer_take(&sql);
}

/*
 * Move *at to the name in an option and give the length of the name; 0 if there is none. The forms are
 * "-c name=value", "-cname=value" and "--name=value".
 */
static size_t
option_name(const char **at)
{
    if (strncmp(*at, "-c", 2) == 0) {
        *at += 2;
        *at += strspn(*at, " \t");
    } else if (strncmp(*at, "--", 2) == 0) {
        *at += 2;
    } else {
        return 0;
    }
    return strspn(*at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$");
}

char *
settings_option_names(const char *options)
{
    struct buffer list = {0};
    const char *at = options != NULL ? options : "";

    buffer_add_char(&list, '{');
    while (*at != '\0') {
        size_t len = option_name(&at);

        if (len > 0 && at[len] == '=')
            buffer_printf(&list, "%s%.*s", list.len > 1 ? "," : "", (int)len, at);
        at += len;
        while (*at != '\0' && *at != ' ' && *at != '\t') /* a space after a backslash belongs to the value */
            at += *at == '\\' && at[1] != '\0' ? 2 : 1;
        at += strspn(at, " \t");
    }
    buffer_add_char(&list, '}');
    return buffer_take(&list);
}

void
session_settings_clear(struct session_settings *settings)
{
    free(settings->evaluation);
    free(settings->transport);
    memset(settings, 0, sizeof(*settings));
}

bool
session_settings_read(struct session *s, const char *stored, struct session_settings *settings,
                      struct error *err)
{
    char *names = settings_option_names(PQoptions(session_conn(s)));
    struct result res = {0};
    bool ok = session_row(s, &res, err, sql_session_settings, 2, stored, names);

    session_settings_clear(settings);
    if (ok)
        *settings = (struct session_settings){
            .evaluation = row_copy(&res, 0, "evaluation"),
            .transport = row_copy(&res, 0, "transport"),
            .differ = row_bool(&res, 0, "differ"),
        };
    result_free(&res);
    free(names);
    return ok || error_context(err, "reading the settings of the session");
}
