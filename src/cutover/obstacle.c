#include "obstacle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/list.h"
#include "core/log.h"
#include "core/mem.h"
#include "sql/sql.h"

#define POLL_MS 100

/* Columns of sql_cutover_blockers. */
enum { PID, MODE, AUTOVACUUM, AGE, RELATION, MAY_LOCK };

static void
add_oid(struct buffer *oids, const char *oid)
{
    buffer_printf(oids, "%s%s", oids->len > 0 ? "," : "{", oid);
}

static void
add_number(struct buffer *oids, oid_t oid)
{
    char text[16];

    snprintf(text, sizeof(text), "%" PRIu32, (uint32_t)oid);
    add_oid(oids, text);
}

/* Of the tables and of those that are locked with them: an array in SQL's text form. The caller frees it. */
static char *
relations(const struct cutover_request *request)
{
    struct buffer oids = {0};

    for (int i = 0; i < request->table_count; i++) {
        const struct table *t = request->plans[i]->source;

        add_number(&oids, t->oid);
        for (int k = 0; k < t->foreign_key_count; k++)
            if (t->foreign_keys[k].lock != NULL)
                add_number(&oids, t->foreign_keys[k].other_oid);
        for (int k = 0; k < t->dependent_count; k++)
            if (t->dependents[k].holder.count > 0)
                add_oid(&oids, t->dependents[k].holder.items[0]);
    }
    buffer_add_char(&oids, '}');
    return buffer_take(&oids);
}

static bool
find(const struct cutover_request *request, struct result *res, struct error *err)
{
    char *oids = relations(request);
    bool ok = session_query(request->session, res, err, sql_cutover_blockers, 1, oids);

    free(oids);
    return ok;
}

void
obstacle_describe(const struct cutover_request *request, struct error *err)
{
    struct result res = {0};
    struct error ignored = {0};

    if (find(request, &res, &ignored) && result_rows(&res) > 0)
        error_detail(err, "Process %s%s holds %s on %s, in a transaction that is %s s old.",
                     result_text(&res, 0, PID), result_bool(&res, 0, AUTOVACUUM) ? " (autovacuum)" : "",
                     result_text(&res, 0, MODE), result_text(&res, 0, RELATION), result_text(&res, 0, AGE));
    result_free(&res);
    error_clear(&ignored);
}

/* The tables, as SQL, where one is at work. */
static bool
find_autovacuums(const struct cutover_request *request, struct string_list *tables, struct error *err)
{
    struct result res = {0};
    bool ok = find(request, &res, err);

    list_free(tables);
    for (int i = 0; ok && i < result_rows(&res); i++)
        if (result_bool(&res, i, AUTOVACUUM) && result_bool(&res, i, MAY_LOCK))
            list_add_once(tables, result_text(&res, i, RELATION));
    result_free(&res);
    return ok;
}

static bool
await_autovacuums(const struct cutover_request *request, int64_t until_ms, struct string_list *tables,
                  struct error *err)
{
    bool told = false;

    for (;;) {
        if (!find_autovacuums(request, tables, err))
            return false;
        if (tables->count == 0 || clock_ms() > until_ms || !clock_sleep(POLL_MS))
            return true;
        if (!told)
            log_info("an autovacuum of %s is at work: it has some seconds to come to its end",
                     tables->items[0]);
        told = true;
    }
}

/* Behind whoever is at work there. */
static bool
wait_behind(const struct cutover_request *request, struct session *s, const char *table, struct error *err)
{
    log_info("an autovacuum of %s has to give way", table);
    if (session_executef(s, err, "LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE", table))
        return true;
    if (strcmp(err->sqlstate, "55P03") != 0)
        return false;
    error_set(err, ERROR_LOCK, "an autovacuum of %s has not given way", table);
    obstacle_describe(request, err);
    return false;
}

/*
 * In a session of its own: that of the cutover may be inside a transaction that it applies. And not under the
 * cutover's locks: what is written meanwhile would have to be applied under them.
 */
static bool
keep_out(const struct cutover_request *request, const struct string_list *tables, struct session **guard,
         struct error *err)
{
    bool ok;

    if (tables->count == 0)
        return true;
    *guard = session_open(request->connection, SESSION_SQL, "cutover", err);
    ok = *guard != NULL && session_execute(*guard, err, "BEGIN") &&
         session_execute(*guard, err, sql_lock_patiently);
    for (int i = 0; ok && i < tables->count; i++)
        ok = wait_behind(request, *guard, tables->items[i], err);
    return ok;
}

bool
obstacle_clear(const struct cutover_request *request, int64_t patient_until_ms, struct session **guard,
               struct error *err)
{
    struct string_list tables = {0};
    bool ok;

    *guard = NULL;
    ok = await_autovacuums(request, patient_until_ms, &tables, err) && keep_out(request, &tables, guard, err);
    if (!ok)
        obstacle_release(guard);
    list_free(&tables);
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
