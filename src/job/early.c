#include "early.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/expressions.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/list.h"
#include "core/log.h"
#include "core/mem.h"
#include "parallel.h"
#include "pg/redact.h"
#include "sql/sql.h"
#include "state/ledger.h"
#include "state/swap.h"
#include "tables.h"

#define POLL_MS 50

bool
early_enter(struct engine *e, struct error *err)
{
    bool ok = true;

    for (int i = 0; ok && i < e->plans->early_count; i++)
        ok = ledger_enter(e->control, &e->job, LEDGER_VIEW, e->plans->early[i].new_name, err);
    return ok;
}

/* In the transaction that creates it, so that the ledger has an object if and only if the object exists. */
static bool
note_made(struct engine *e, const struct plan_early *view, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(e->control, &res, err, "SELECT $1::pg_catalog.regclass::pg_catalog.oid AS oid", 1,
                          view->new_name) &&
              ledger_made(e->control, &e->job, LEDGER_VIEW, view->new_name, row_uint(&res, 0, "oid"), err);

    result_free(&res);
    return ok;
}

bool
early_create(struct engine *e, struct error *err)
{
    bool ok = true;

    for (int i = 0; ok && i < e->plans->early_create.count; i++)
        ok = session_execute(e->control, err, e->plans->early_create.items[i]) ||
             error_context(err, "creating the views over the new table%s: %.300s", engine_plural(e),
                           e->plans->early_create.items[i]);
    for (int i = 0; ok && i < e->plans->early_count; i++)
        ok = note_made(e, &e->plans->early[i], err);
    return ok;
}

/* The materialized views, as the parameters of job_view_marks.sql. */
struct marks {
    struct buffer names, others;
    struct params params; /* refer to these */
};

static void
marks_list(const struct engine *e, struct marks *m)
{
    *m = (struct marks){0};
    for (int i = 0; i < e->plans->early_count; i++) {
        const struct plan_early *view = &e->plans->early[i];

        array_add(&m->names, view->stores ? view->name : NULL);
        array_add(&m->others, view->stores ? view->new_name : NULL);
    }
    params_text(&m->params, array_end(&m->names));
    params_text(&m->params, array_end(&m->others));
}

static void
marks_free(struct marks *m)
{
    buffer_free(&m->names);
    buffer_free(&m->others);
}

static bool
read_marks(struct engine *e, struct result *res, struct error *err)
{
    struct marks m;
    bool ok;

    marks_list(e, &m);
    ok = session_query_with(e->control, res, err, sql_job_view_marks, &m.params);
    marks_free(&m);
    return ok;
}

static bool
is_marked(const struct engine *e, const struct result *res, int view)
{
    return e->early_marks != NULL && strcmp(e->early_marks[view], row_text(res, view, "mark")) == 0;
}

static void
keep_mark(struct engine *e, const struct result *res, int view)
{
    int count = e->plans->early_count;

    if (e->early_marks == NULL) {
        e->early_marks = mem_alloc((size_t)count * sizeof(*e->early_marks));
        for (int i = 0; i < count; i++)
            e->early_marks[i] = mem_strdup("");
    }
    free(e->early_marks[view]);
    e->early_marks[view] = row_copy(res, view, "mark");
}

/* Open a transaction whose snapshot shows all new tables at one position of the log. */
static struct session *
open_snapshot(struct engine *e, struct result *res, struct error *err)
{
    struct session *s = session_open(e->options.connection, SESSION_SQL, "snapshot", err);
    bool ok = s != NULL && engine_sync(e, err) &&
              session_execute(s, err, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY") &&
              session_row(s, res, err, "SELECT pg_catalog.pg_export_snapshot() AS name", 0);

    if (!ok) {
        session_close(s);
        return NULL;
    }
    return s;
}

/* Run the statements in one session, and apply changes meanwhile. */
static bool
run_apart(struct engine *e, const struct string_list *sql, struct error *err)
{
    struct parallel *p =
        parallel_start(e->options.connection, "view", (const char *const *)sql->items, sql->count, 1);
    struct error stop = {0};
    bool ok = true;

    while (!parallel_done(p)) {
        engine_kill_point("view-filling");
        if (ok && !engine_apply(e, &stop)) {
            ok = false;
            parallel_cancel(p);
        }
        if (!ok)
            clock_sleep(POLL_MS);
    }
    if (!parallel_finish(p, err)) {
        ok = false;
        error_redact(err);
    }
    if (stop.message != NULL)
        error_move(err, &stop);
    return ok;
}

/*
 * The snapshot is imported by the session that runs the query, and lives as long as that. REFRESH writes frozen rows, so no
 * snapshot is too old to see them. VACUUM, so that no autovacuum is necessary soon.
 */
static bool
fill_view(struct engine *e, const struct plan_early *view, struct error *err)
{
    struct result res = {0};
    struct string_list sql = {0};
    struct session *exported = open_snapshot(e, &res, err);
    bool ok = exported != NULL;

    if (ok) {
        list_addf(&sql, "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '%s'",
                  row_text(&res, 0, "name"));
        list_addf(&sql, "REFRESH MATERIALIZED VIEW %s", view->new_name);
        list_add(&sql, mem_strdup("COMMIT"));
        list_addf(&sql, "VACUUM (ANALYZE) %s", view->new_name);
        ok = run_apart(e, &sql, err);
    }
    session_close(exported);
    list_free(&sql);
    result_free(&res);
    return ok ? true : error_context(err, "filling %s over the new table", view->description);
}

/* The mark is read before the view is filled: a REFRESH of the one in use that comes later is noticed. */
static bool
refresh_view(struct engine *e, int view, struct error *err)
{
    const struct plan_early *v = &e->plans->early[view];
    struct result before = {0}, after = {0};
    int64_t began = clock_ms();
    bool ok = read_marks(e, &before, err), filled;
    char text[32];

    filled = ok && row_bool(&before, view, "populated");
    if (filled)
        ok = fill_view(e, v, err);
    else if (ok && row_bool(&before, view, "other_populated"))
        ok = session_executef(e->control, err, "REFRESH MATERIALIZED VIEW %s WITH NO DATA", v->new_name);
    ok = ok && read_marks(e, &after, err);
    /* If the one in use is another one by now, the mark is of no use, and the next round fills the view again. */
    if (ok && strcmp(row_text(&before, view, "in_use"), row_text(&after, view, "in_use")) == 0)
        keep_mark(e, &after, view);
    if (ok && filled) {
        clock_format_duration((double)(clock_ms() - began) / 1000, text);
        log_info("%s is filled over the new table in %s", v->description, text);
    }
    result_free(&before);
    result_free(&after);
    return ok;
}

bool
early_fill(struct engine *e, struct error *err)
{
    struct result res = {0};
    bool ok = true;

    if (e->plans->early_count > 0)
        ok = read_marks(e, &res, err);
    for (int i = 0; ok && i < result_rows(&res); i++)
        if (e->plans->early[i].stores && !is_marked(e, &res, i))
            ok = refresh_view(e, i, err);
    result_free(&res);
    return ok;
}

bool
early_is_checked(const struct engine *e)
{
    return e->plans->early_count > 0 && !job_is_reversed(&e->job);
}

void
early_add(struct engine *e, struct pipeline *p)
{
    struct marks m;

    if (!early_is_checked(e))
        return;
    marks_list(e, &m);
    pipeline_add_with(p, sql_job_view_marks, &m.params);
    marks_free(&m);
}

bool
early_looked(struct engine *e, const struct result *res, struct error *err)
{
    for (int i = 0; i < result_rows(res); i++)
        if (e->plans->early[i].stores && !is_marked(e, res, i))
            return error_set(err, ERROR_LOCK,
                             "%s was refreshed meanwhile: the one over the new table is to be filled again",
                             e->plans->early[i].description);
    return true;
}

void
early_record(const struct engine *e, struct pipeline *p)
{
    bool back = job_is_reversed(&e->job);

    for (int i = 0; i < e->plans->early_count; i++) {
        const struct plan_early *view = &e->plans->early[i];

        state_swap_add_view(p, &e->job, back ? view->old_name : view->new_name,
                            back ? view->new_name : view->old_name);
    }
}

void
early_forget(struct engine *e)
{
    for (int i = 0; e->early_marks != NULL && i < e->plans->early_count; i++)
        free(e->early_marks[i]);
    free(e->early_marks);
    e->early_marks = NULL;
}
