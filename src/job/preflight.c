#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "job/job.h"
#include "sessions.h"
#include "sql/sql.h"

#define OLDEST_MAJOR 14
#define NEWEST_MAJOR 18

/* The reasons to refuse, one a line, collected so that the user sees all of them at once. */
struct reasons {
    struct buffer text;
    int count;
};

static void
add_reason(struct reasons *r, const char *reason)
{
    buffer_printf(&r->text, "%s%s", r->count++ > 0 ? "\n" : "", reason);
}

/*
 * With '*' (or our name) in synchronous_standby_names the receiver would become the synchronous standby for
 * which every commit of the application waits.
 */
static bool
would_be_synchronous(const char *names)
{
    return strchr(names, '*') != NULL || strcasestr(names, "pgrecast") != NULL;
}

static void
check_settings(const struct result *r, struct reasons *reasons)
{
    if (row_bool(r, 0, "standby"))
        add_reason(reasons, "The server is a standby. Connect to the primary.");
    if (strcmp(row_text(r, 0, "wal_level"), "logical") != 0) {
        char *reason =
            mem_printf("wal_level is %s. Set wal_level = logical and restart the server (on Amazon RDS: "
                       "rds.logical_replication = 1).",
                       row_text(r, 0, "wal_level"));
        add_reason(reasons, reason);
        free(reason);
    }
    if (row_int(r, 0, "free_slots") < 1)
        add_reason(
            reasons,
            "No replication slot is free. Raise max_replication_slots or drop a slot that is not used.");
    if (row_int(r, 0, "free_senders") < 1)
        add_reason(reasons, "No WAL sender is free. Raise max_wal_senders.");
    if (would_be_synchronous(row_text(r, 0, "synchronous_standby_names")))
        add_reason(reasons,
                   "synchronous_standby_names matches any name: pgrecast's connection would become a standby "
                   "that commits wait for. Name the standbys.");
}

static void
check_rights(const struct result *r, struct reasons *reasons)
{
    if (!row_bool(r, 0, "may_create")) {
        char *reason = mem_printf("Role %s may not create in database %s. GRANT CREATE ON DATABASE to it.",
                                  row_text(r, 0, "role"), row_text(r, 0, "database"));
        add_reason(reasons, reason);
        free(reason);
    }
    if (!row_bool(r, 0, "may_create_temporary"))
        add_reason(reasons, "The role may not create temporary tables. GRANT TEMPORARY ON DATABASE to it.");
    if (!row_bool(r, 0, "may_use_slots")) {
        char *reason =
            mem_printf("The sessions of role %s have the role %s (ALTER ROLE ... SET role), which may "
                       "not use replication slots. ALTER ROLE ... RESET role, or give it the "
                       "REPLICATION attribute.",
                       row_text(r, 0, "session_role"), row_text(r, 0, "role"));
        add_reason(reasons, reason);
        free(reason);
    }
    if (!row_null(r, 0, "may_not_call")) {
        char *reason = mem_printf("Role %s may not execute %s. GRANT EXECUTE ON FUNCTION to it.",
                                  row_text(r, 0, "role"), row_text(r, 0, "may_not_call"));
        add_reason(reasons, reason);
        free(reason);
    }
}

/*
 * Whether the role may replicate is found out by trying, not from the catalogs: managed services grant this
 * right in their own ways.
 */
static void
check_replication(const struct connection_options *connection, struct reasons *reasons)
{
    struct error err = {0};
    struct session *s = session_open(connection, SESSION_REPLICATION, "preflight", &err);

    if (s == NULL) {
        char *reason =
            mem_printf("A replication connection is not possible: %s. The role needs the REPLICATION "
                       "attribute and a line in pg_hba.conf for the database.",
                       err.message);
        add_reason(reasons, reason);
        free(reason);
    }
    session_close(s);
    error_clear(&err);
}

static bool
check_sessions(struct session *s, int *jobs, struct reasons *reasons, struct error *err)
{
    char *why;
    bool ok = sessions_fit(s, jobs, &why, err) || why != NULL;

    if (why != NULL)
        add_reason(reasons, why);
    free(why);
    return ok;
}

bool
job_check_server(struct session *s, const struct connection_options *connection, int *jobs, struct error *err)
{
    struct reasons reasons = {0};
    struct result res = {0};
    int major = session_major(s);
    bool ok;

    if (major < OLDEST_MAJOR || major > NEWEST_MAJOR)
        return error_set(err, ERROR_REFUSED, "PostgreSQL %d is not supported: %d to %d are", major,
                         OLDEST_MAJOR, NEWEST_MAJOR);
    if (!session_row(s, &res, err, sql_preflight, 0))
        return false;
    check_settings(&res, &reasons);
    check_rights(&res, &reasons);
    if (!check_sessions(s, jobs, &reasons, err)) {
        buffer_free(&reasons.text);
        result_free(&res);
        return false;
    }
    if (reasons.count == 0)
        check_replication(connection, &reasons);
    ok = reasons.count == 0;
    if (!ok)
        sessions_refuse(reasons.text.data, err);
    buffer_free(&reasons.text);
    result_free(&res);
    return ok;
}
