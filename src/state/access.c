#include "state/access.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/command.h"
#include "core/mem.h"
#include "pg/sqlstate.h"
#include "state/job.h"
#include "statements.h"

#define PROBLEMS_SHOWN 10
#define GUARD_QUOTE "$guard$" /* quotes the body of the function in guard.sql */

/* The role to which everything must belong. The caller frees it; NULL on failure. */
static char *
read_owner(struct session *s, const struct state_access *access, struct error *err)
{
    struct result res = {0};
    char *owner = NULL;

    if (!session_row(
            s, &res, err,
            "SELECT current_user AS role, pg_catalog.to_regrole(pg_catalog.quote_ident($1)) IS NOT NULL "
            "AS there",
            1, access->owner))
        return NULL;
    if (access->owner == NULL)
        owner = row_copy(&res, 0, "role");
    else if (row_bool(&res, 0, "there"))
        owner = mem_strdup(access->owner);
    else
        error_set(err, ERROR_USAGE, "--state-owner: there is no role \"%s\"", access->owner);
    result_free(&res);
    return owner;
}

/* Add what the user can do. If everything belongs to one role, the user may decide to trust it. */
static void
hint_owner(const struct result *res, const char *owner, struct error *err)
{
    const char *other = row_text(res, 0, "owner");

    if (other != NULL)
        error_hint(err,
                   "Connect as role \"%s\"; or, if you trust that role with all rights of role \"%s\", add "
                   "--state-owner=%s. If no job needs the schema, its owner can remove it with: DROP SCHEMA "
                   "pgrecast CASCADE",
                   other, owner, other);
    else
        error_hint(err,
                   "Take back what is named, as the owner of the schema. If no job needs the schema, its "
                   "owner can remove it with: DROP SCHEMA pgrecast CASCADE");
}

static bool
refuse_distrusted(const struct result *res, const char *owner, struct error *err)
{
    struct buffer text = {0};
    int rows = result_rows(res);

    error_set(err, ERROR_REFUSED, "schema pgrecast is not to be trusted: it is not role \"%s\"'s alone",
              owner);
    for (int i = 0; i < rows && i < PROBLEMS_SHOWN; i++)
        buffer_printf(&text, "%s%s %s", i > 0 ? "\n" : "", row_text(res, i, "object"),
                      row_text(res, i, "what"));
    if (rows > PROBLEMS_SHOWN)
        buffer_printf(&text, "\nand %d more", rows - PROBLEMS_SHOWN);
    error_detail(err, "%s", text.data);
    hint_owner(res, owner, err);
    buffer_free(&text);
    return false;
}

/* The body of the guard's function, as the server keeps it. The caller frees it. */
static char *
guard_body(void)
{
    const char *begin = strstr(state_sql_guard, GUARD_QUOTE) + strlen(GUARD_QUOTE);

    return mem_printf("%.*s", (int)(strstr(begin, GUARD_QUOTE) - begin), begin);
}

/* Check that nobody but the owner has made, may change, or could run code by what is in the schema. */
static bool
check_trust(struct session *s, const struct state_access *access, struct error *err)
{
    struct result res = {0};
    char *owner = read_owner(s, access, err), *body = guard_body();
    bool ok = owner != NULL && session_query(s, &res, err, state_sql_trust, 2, owner, body) &&
              (result_rows(&res) == 0 || refuse_distrusted(&res, owner, err));

    result_free(&res);
    free(body);
    free(owner);
    return ok;
}

static bool
refuse_newer(const char *version, struct error *err)
{
    error_set(err, ERROR_FAILED,
              "the state in schema pgrecast was made by a newer version of pgrecast (format %s, not %d)",
              version, JOB_FORMAT);
    return error_hint(err, "Use that version.");
}

static bool
read_version(struct session *s, enum state_presence *presence, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(s, &res, err, "SELECT version FROM pgrecast.format", 0);

    if (ok && row_int(&res, 0, "version") > JOB_FORMAT)
        ok = refuse_newer(row_text(&res, 0, "version"), err);
    else if (ok)
        *presence = row_int(&res, 0, "version") == JOB_FORMAT ? STATE_CURRENT : STATE_OLDER;
    result_free(&res);
    return ok;
}

bool
state_check(struct session *s, const struct state_access *access, enum state_presence *presence,
            struct error *err)
{
    struct result res = {0};
    bool ok = check_trust(s, access, err) && session_row(s, &res, err, state_sql_format, 0), current;

    current = ok && row_bool(&res, 0, "current");
    *presence = ok && row_bool(&res, 0, "jobs") ? STATE_OLDER : STATE_NONE;
    result_free(&res);
    return ok && (!current || read_version(s, presence, err));
}

/* The lock is shared, so it is refused only if somebody else holds the key: then nobody sees this process begin. */
static bool
announce(struct session *s, const struct state_access *access, struct error *err)
{
    struct params p = {0};

    if (access->begins == NULL)
        return true;
    params_int(&p, JOB_BEGIN_CLASS);
    params_text(&p, access->begins);
    return session_query_with(s, NULL, err,
                              "SELECT pg_catalog.pg_try_advisory_lock_shared($1::pg_catalog.int4, "
                              "pg_catalog.hashtext($2))",
                              &p);
}

struct session *
state_open(const struct state_access *access, const char *purpose, enum state_presence *presence,
           struct error *err)
{
    struct session *s = session_open(access->connection, SESSION_SQL, purpose, err);

    if (s != NULL && announce(s, access, err) && session_execute(s, err, "SET synchronous_commit = local") &&
        state_check(s, access, presence, err))
        return s;
    session_close(s);
    return NULL;
}

/* A job of an older format that has not ended: the version that made it would not find its state any more. */
static bool
refuse_older_jobs(struct session *s, struct error *err)
{
    struct result res = {0};
    bool ok = session_query(s, &res, err, state_sql_old_open, 0);

    if (ok && result_rows(&res) > 0) {
        const char *name = row_text(&res, 0, "name");

        ok = error_set(err, ERROR_REFUSED,
                       "job \"%s\" was made by an older version of pgrecast and is not over", name);
        error_hint(
            err,
            "Bring it to its end with that version, or remove it, if it has not cut over, with: " COMMAND(
                "abort"),
            name);
    }
    result_free(&res);
    return ok;
}

static bool
has_tables(struct session *s, bool *has, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(s, &res, err,
                          "SELECT pg_catalog.to_regclass('pgrecast_before.job_table') IS NOT NULL AS has", 0);

    *has = ok && row_bool(&res, 0, "has");
    result_free(&res);
    return ok;
}

static bool
carry_over(struct session *s, struct error *err)
{
    bool tables;

    return session_execute(s, err, state_sql_upgrade_records) && has_tables(s, &tables, err) &&
           (!tables || session_execute(s, err, state_sql_upgrade_tables)) &&
           session_execute(s, err, "DROP SCHEMA pgrecast_before CASCADE");
}

/* Create the schema as the role to which the state will belong. */
static bool
become_owner(struct session *s, const struct state_access *access, struct error *err)
{
    struct buffer sql = {0};
    bool ok = true;

    if (access->owner != NULL) {
        buffer_add_text(&sql, "SET LOCAL ROLE ");
        buffer_add_identifier(&sql, access->owner);
        ok = session_execute(s, err, sql.data);
    }
    buffer_free(&sql);
    return ok;
}

static bool
create_schema(struct session *s, const struct state_access *access, bool older, struct error *err)
{
    return become_owner(s, access, err) &&
           (!older || (refuse_older_jobs(s, err) && session_execute(s, err, state_sql_upgrade))) &&
           session_execute(s, err, state_sql_schema) && session_execute(s, err, state_sql_guard) &&
           session_executef(s, err, "INSERT INTO pgrecast.format VALUES (%d)", JOB_FORMAT) &&
           (!older || carry_over(s, err)) && session_execute(s, err, "RESET ROLE");
}

bool
state_install(struct session *s, const struct state_access *access, struct error *err)
{
    enum state_presence presence = STATE_NONE;
    /*
     * Two processes that begin at the same time create it one after the other. What is there afterwards is
     * checked again.
     */
    bool ok = session_execute(s, err, "BEGIN; SET LOCAL client_min_messages = warning") &&
              session_executef(s, err, "SELECT pg_catalog.pg_advisory_xact_lock(%d, 0)", JOB_LOCK_CLASS) &&
              state_check(s, access, &presence, err) &&
              (presence == STATE_CURRENT || (create_schema(s, access, presence == STATE_OLDER, err) &&
                                             state_check(s, access, &presence, err))) &&
              session_commit(s, err);

    if (!ok) {
        session_rollback(s);
        if (err->kind != ERROR_REFUSED && err->kind != ERROR_USAGE)
            error_context(err, "creating the job state in schema pgrecast");
    }
    return ok;
}
