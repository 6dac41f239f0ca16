#include "carry_index.h"

#include <stdlib.h>
#include <string.h>

#include "carry.h"
#include "catalog/expressions.h"
#include "core/clock.h"
#include "core/list.h"
#include "core/log.h"
#include "core/mem.h"
#include "parallel.h"
#include "pg/redact.h"
#include "plan/plan.h"
#include "sql/sql.h"
#include "watch.h"

#define POLL_MS 50

static bool
is_added(json_t *change)
{
    return strcmp(json_string_value(json_object_get(change, "what")), "added") == 0;
}

bool
carry_index_is(json_t *change)
{
    return json_is_null(json_object_get(change, "property")) &&
           strncmp(json_string_value(json_object_get(change, "object")), "index ", 6) == 0;
}

/* {name: name of the one like it}; an index by which the apply finds rows has to stay. */
static char *
planned_names(const struct plan *plan)
{
    json_t *names = json_object();
    char *text;

    for (int i = 0; i < plan->index_count; i++) {
        const struct plan_index *index = &plan->indexes[i];

        if (index->final_name != NULL)
            json_object_set_new(names, index->final_name, json_string(index->key ? "" : index->name));
    }
    text = mem_checked(json_dumps(names, JSON_COMPACT));
    json_decref(names);
    return text;
}

bool
carry_index_read(struct engine *e, int table, json_t *changes, const char *active, const char *inactive,
                 struct result *r, struct error *err)
{
    char *planned = planned_names(e->tables[table].plans->forward);
    struct buffer objects = {0}, added = {0}, columns = {0};
    struct params p = {0};
    json_t *change;
    size_t i;
    bool ok;

    json_array_foreach(changes, i, change)
    {
        if (!carry_index_is(change))
            continue;
        array_add(&objects, json_string_value(json_object_get(change, "object")));
        array_add(&added, is_added(change) ? "true" : "false");
    }
    carry_list_same_columns(e->tables[table].plan, &columns);
    params_uint(&p, job_active_oid(&e->job, table));
    params_uint(&p, job_other_oid(&e->job, table));
    params_text(&p, array_end(&objects));
    params_text(&p, array_end(&added));
    params_text(&p, columns.data);
    params_text(&p, active);
    params_text(&p, inactive);
    params_text(&p, planned);
    ok = session_query_with(e->control, r, err, sql_carry_index, &p);
    buffer_free(&objects);
    buffer_free(&added);
    buffer_free(&columns);
    free(planned);
    return ok;
}

/* The row of an object, or -1. */
static int
row_of(const struct result *r, const char *object)
{
    for (int i = 0; i < result_rows(r); i++)
        if (strcmp(row_text(r, i, "object"), object) == 0)
            return i;
    return -1;
}

static bool
is_made(const struct result *r, json_t *change)
{
    for (int i = 0; i < result_rows(r); i++)
        if (row_bool(r, i, "added") && row_bool(r, i, "built") &&
            strcmp(row_text(r, i, "made_object"), json_string_value(json_object_get(change, "object"))) == 0)
            return carry_index_is(change) && is_added(change);
    return false;
}

enum carry_index_state
carry_index_judge(const struct result *r, json_t *changes, json_t *others)
{
    enum carry_index_state state = CARRY_INDEX_READY;
    json_t *change;
    size_t i;

    json_array_foreach(changes, i, change)
    {
        int row =
            carry_index_is(change) ? row_of(r, json_string_value(json_object_get(change, "object"))) : -1;

        if (!carry_index_is(change))
            continue;
        if (row < 0 || !row_bool(r, row, "possible"))
            return CARRY_INDEX_NEVER;
        if (!row_bool(r, row, "built"))
            state = CARRY_INDEX_UNBUILT;
    }
    json_array_foreach(others, i, change)
    {
        if (!is_made(r, change))
            return CARRY_INDEX_OTHERS;
    }
    return state;
}

bool
carry_index_drop(struct engine *e, const struct result *r, struct error *err)
{
    for (int i = 0; i < result_rows(r); i++)
        if (!row_bool(r, i, "added") && !session_execute(e->control, err, row_text(r, i, "sql")))
            return false;
    return true;
}

/* Both are as they were when they were compared, and their other properties are the same. */
static bool
is_same_index(const struct result *r, int row, json_t *one, json_t *other)
{
    json_t *a = json_copy(one), *b = json_copy(other);
    const char *text = json_string_value(json_object_get(a, "definition"));
    const char *made = json_string_value(json_object_get(b, "definition"));
    bool same = text != NULL && made != NULL && strcmp(text, row_text(r, row, "definition")) == 0 &&
                strcmp(made, row_text(r, row, "made_definition")) == 0;

    if (same) {
        json_object_del(a, "definition");
        json_object_del(b, "definition");
        json_object_del(a, "schema"); /* that of its table */
        json_object_del(b, "schema");
        same = json_equal(a, b);
    }
    json_decref(a);
    json_decref(b);
    return same;
}

bool
carry_index_settle(const struct result *r, json_t *before_active, json_t *before_inactive, json_t *now_active,
                   json_t *now_inactive)
{
    for (int i = 0; i < result_rows(r); i++) {
        const char *object = row_text(r, i, "object"), *made = row_text(r, i, "made_object");
        json_t *one = json_object_get(now_active, object), *other = json_object_get(now_inactive, made);

        if (!row_bool(r, i, "added")) {
            json_object_del(before_active, object);
            json_object_del(before_inactive, made);
        } else if (one != NULL && other != NULL && is_same_index(r, i, one, other)) {
            json_object_set(before_active, object, one);
            json_object_set(before_inactive, made, other);
        } else {
            return false;
        }
    }
    return true;
}

bool
carry_index_amend(const struct result *r, int table, struct plan_set *plans)
{
    for (int i = 0; i < result_rows(r); i++) {
        const struct plan_index_names names = {
            .active = row_text(r, i, "name"),
            .original = row_text(r, i, "original"),
            .made = row_text(r, i, "made"),
        };

        if (row_bool(r, i, "added"))
            plan_set_add_index(plans, table, &names);
        else if (!plan_set_remove_index(plans, table, &names))
            return false;
    }
    return true;
}

/* Run the statements. failed: why not all of them were. False where the job cannot continue. */
static bool
run(struct engine *e, const struct string_list *sql, struct error *failed, struct error *err)
{
    struct parallel *p = parallel_start(e->options.connection, "index", (const char *const *)sql->items,
                                        sql->count, e->options.workers);
    bool ok = true;

    e->building = true;
    while (!parallel_done(p)) {
        if (ok) {
            ok = engine_wait(e, POLL_MS, err);
        } else {
            parallel_cancel(p);
            clock_sleep(POLL_MS);
        }
    }
    e->building = false;
    if (!parallel_finish(p, failed) && failed->connection_lost && ok)
        error_move(err, failed);
    return ok && err->message == NULL;
}

/* What is missing on the inactive table of one table. names: of the indexes, to drop them again. */
static bool
list_unbuilt(struct engine *e, int table, struct string_list *sql, struct string_list *names,
             struct error *err)
{
    const struct watched *w = &e->tables[table].active;
    const struct job_table *t = &e->job.tables[table];
    struct result r = {0};
    bool ok = carry_index_read(e, table, w->changes, e->job.swaps == 0 ? t->definition : t->active_definition,
                               t->other_definition, &r, err);

    for (int i = 0; ok && i < result_rows(&r); i++) {
        if (!row_bool(&r, i, "added") || !row_bool(&r, i, "possible") || row_bool(&r, i, "built"))
            continue;
        list_add(sql, row_copy(&r, i, "sql"));
        list_add(names, row_copy(&r, i, "made_name"));
        log_info("index %s of %s is built on %s too; nothing is applied meanwhile", row_text(&r, i, "name"),
                 e->tables[table].plan->names.source_sql, e->tables[table].plan->names.shadow_sql);
    }
    result_free(&r);
    return ok;
}

/* The change was undone meanwhile, or cannot be carried over. */
static bool
drop_again(struct engine *e, int table, const struct string_list *names, struct error *err)
{
    bool ok = true;

    for (int i = 0; ok && i < names->count; i++) {
        struct params p = {0};
        struct result r = {0};

        params_text(&p, names->items[i]);
        params_uint(&p, job_other_oid(&e->job, table));
        ok = session_row_with(e->control, &r, err,
                              "SELECT EXISTS (SELECT FROM pg_catalog.pg_index AS x WHERE x.indexrelid = "
                              "pg_catalog.to_regclass($1) AND x.indrelid = $2) AS there",
                              &p) &&
             (!row_bool(&r, 0, "there") ||
              session_executef(e->control, err, "DROP INDEX %s", names->items[i]));
        result_free(&r);
    }
    return ok && watch_now(e, err);
}

/* Whether the indexes that were built are left over. */
static bool
is_left(const struct engine_table *t)
{
    return t->active.changes == NULL ? t->inactive.text != NULL : t->active.not_carried;
}

static bool
build(struct engine *e, int table, struct error *err)
{
    struct engine_table *t = &e->tables[table];
    struct string_list sql = {0}, names = {0};
    struct error failed = {0};
    bool ok = engine_to_boundary(e, err) && list_unbuilt(e, table, &sql, &names, err) &&
              (sql.count == 0 || run(e, &sql, &failed, err));

    t->active.unbuilt = false;
    t->active.not_carried = failed.message != NULL;
    if (ok && failed.message != NULL) {
        error_redact(&failed);
        log_warning("an index is not built on %s: %s", t->plan->names.shadow_sql, failed.message);
    }
    ok = ok && watch_now(e, err) && (!is_left(t) || drop_again(e, table, &names, err));
    error_clear(&failed);
    list_free(&sql);
    list_free(&names);
    return ok;
}

bool
carry_index_build(struct engine *e, struct error *err)
{
    bool ok = true;

    for (int i = 0; ok && i < e->table_count; i++)
        ok = !e->tables[i].active.unbuilt || build(e, i, err);
    return ok;
}
