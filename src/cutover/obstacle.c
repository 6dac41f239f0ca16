#include "obstacle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/list.h"
#include "core/log.h"
#include "core/mem.h"
#include "pg/sqlstate.h"
#include "sql/sql.h"

#define POLL_MS 100

/* The oids of everything that is locked: an array in SQL's text form. The caller frees it. */
static char *
relations(const struct cutover_request *request)
{
    struct buffer oids = {0};

    for (int i = 0; i < request->table_count; i++) {
        buffer_printf(&oids, "%s%" PRIu32 ",%" PRIu32, i > 0 ? "," : "{",
                      (uint32_t)request->plans[i]->source->oid, (uint32_t)request->shadows[i]);
    }
    for (int i = 0; i < request->swap->locked.count; i++)
        buffer_printf(&oids, ",%s", request->swap->locked.items[i]);
    buffer_add_char(&oids, '}');
    return buffer_take(&oids);
}

static bool
obstacle_find(const struct cutover_request *request, struct result *res, struct error *err)
{
    char *oids = relations(request);
    bool ok = session_query(request->session, res, err, sql_cutover_blockers, 1, oids);

    free(oids);
    return ok;
}

/* Locks for reading and writing rows conflict with ACCESS EXCLUSIVE only. */
static bool
is_of_rows(const char *mode)
{
    return strcmp(mode, "AccessShareLock") == 0 || strcmp(mode, "RowShareLock") == 0 ||
           strcmp(mode, "RowExclusiveLock") == 0;
}

/*
 * Add the first obstacle to the error. Where a table is given: the first lock on it that conflicts with SHARE
 * UPDATE EXCLUSIVE.
 */
static void
describe(const struct cutover_request *request, const char *table, struct error *err)
{
    struct result res = {0};
    struct error ignored = {0};
    int row = 0;

    if (obstacle_find(request, &res, &ignored)) {
        while (
            table != NULL && row < result_rows(&res) &&
            (strcmp(row_text(&res, row, "relation"), table) != 0 || is_of_rows(row_text(&res, row, "mode"))))
            row++;
        if (row < result_rows(&res))
            error_detail(err, "Process %s%s holds %s on %s, in a transaction that is %s s old.",
                         row_text(&res, row, "pid"), row_bool(&res, row, "autovacuum") ? " (autovacuum)" : "",
                         row_text(&res, row, "mode"), row_text(&res, row, "relation"),
                         row_text(&res, row, "age"));
    }
    result_free(&res);
    error_clear(&ignored);
}

void
obstacle_describe(const struct cutover_request *request, struct error *err)
{
    describe(request, NULL, err);
}

/* Tables and materialized views on which an autovacuum runs: their names as SQL, and the statement that locks each. */
struct vacuumed {
    struct string_list tables;
    struct string_list locks;
};

static void
vacuumed_free(struct vacuumed *v)
{
    list_free(&v->tables);
    list_free(&v->locks);
}

static bool
find_autovacuums(const struct cutover_request *request, struct vacuumed *v, struct error *err)
{
    struct result res = {0};
    bool ok = obstacle_find(request, &res, err);

    vacuumed_free(v);
    for (int i = 0; ok && i < result_rows(&res); i++) {
        if (!row_bool(&res, i, "autovacuum") || !row_bool(&res, i, "may_lock") ||
            list_has(&v->tables, row_text(&res, i, "relation")))
            continue;
        list_add(&v->tables, row_copy(&res, i, "relation"));
        list_add(&v->locks, row_copy(&res, i, "lock"));
    }
    result_free(&res);
    return ok;
}

static void
tell_autovacuum(const struct cutover_request *request, const char *table)
{
    char *text = mem_printf("an autovacuum of %s", table);

    log_info("an autovacuum of %s is at work: it has some seconds to come to its end", table);
    if (request->hooks->waits != NULL)
        request->hooks->waits(request->hooks->arg, "autovacuum", text);
    free(text);
}

static bool
await_autovacuums(const struct cutover_request *request, int64_t until_ms, struct vacuumed *v,
                  struct error *err)
{
    bool told = false;

    for (;;) {
        if (!find_autovacuums(request, v, err))
            return false;
        if (v->tables.count == 0 || clock_ms() > until_ms || !clock_sleep(POLL_MS))
            return true;
        if (!told)
            tell_autovacuum(request, v->tables.items[0]);
        told = true;
    }
}

/* Request a lock behind the autovacuum of that table. A partition may have been dropped meanwhile. */
static bool
wait_behind(const struct cutover_request *request, struct session *s, const char *table, const char *lock,
            struct error *err)
{
    log_info("an autovacuum of %s has to give way", table);
    if (session_execute(s, err, lock))
        return true;
    if (!sqlstate_is(err, SQLSTATE_LOCK_NOT_AVAILABLE) && !sqlstate_is(err, SQLSTATE_DEADLOCK_DETECTED) &&
        !sqlstate_is(err, SQLSTATE_UNDEFINED_TABLE))
        return false;
    error_set(err, ERROR_LOCK, "an autovacuum of %s has not given way", table);
    describe(request, table, err);
    return false;
}

/*
 * NULL without an error: the server has no connection left, and the cutover continues without this session.
 */
static struct session *
open_guard(const struct cutover_request *request, struct error *err)
{
    struct session *s = session_open(request->connection, SESSION_SQL, "cutover", err);

    if (s == NULL && sqlstate_is(err, SQLSTATE_TOO_MANY_CONNECTIONS))
        error_clear(err);
    return s;
}

/*
 * In a session of its own, because the cutover's session may be inside a transaction that it applies. Not
 * while the cutover's locks are held, because changes that are written meanwhile would have to be applied
 * under them.
 */
static bool
keep_out(const struct cutover_request *request, const struct vacuumed *v, struct session **guard,
         struct error *err)
{
    bool ok;

    if (v->tables.count == 0)
        return true;
    *guard = open_guard(request, err);
    if (*guard == NULL)
        return err->message == NULL;
    ok = session_execute(*guard, err, "BEGIN") && session_execute(*guard, err, sql_lock_patiently);
    for (int i = 0; ok && i < v->tables.count; i++)
        ok = wait_behind(request, *guard, v->tables.items[i], v->locks.items[i], err);
    return ok;
}

bool
obstacle_any(const struct cutover_request *request, bool *any, struct error *err)
{
    struct vacuumed v = {0};
    bool ok = find_autovacuums(request, &v, err);

    *any = v.tables.count > 0;
    vacuumed_free(&v);
    return ok;
}

bool
obstacle_clear(const struct cutover_request *request, int64_t patient_until_ms, struct session **guard,
               struct error *err)
{
    struct vacuumed v = {0};
    bool ok;

    *guard = NULL;
    ok = await_autovacuums(request, patient_until_ms, &v, err) && keep_out(request, &v, guard, err);
    if (!ok)
        obstacle_release(guard);
    vacuumed_free(&v);
    return ok;
}

void
obstacle_release(struct session **guard)
{
    if (*guard != NULL)
        session_rollback(*guard);
    session_close(*guard);
    *guard = NULL;
}
