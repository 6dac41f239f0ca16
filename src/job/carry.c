#include "carry.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/expressions.h"
#include "catalog/table.h"
#include "core/buffer.h"
#include "core/log.h"
#include "core/mem.h"
#include "inactive.h"
#include "sql/sql.h"
#include "state/event.h"
#include "state/ledger.h"
#include "tables.h"

/* The definitions of both tables, as {object: {property: value}}. */
struct pair {
    json_t *active, *inactive;
};

static void
pair_clear(struct pair *p)
{
    json_decref(p->active);
    json_decref(p->inactive);
    *p = (struct pair){0};
}

static json_t *
value_of(json_t *definition, const char *object, const char *property)
{
    return json_object_get(json_object_get(definition, object), property);
}

static char **
active_definition(struct job_table *t, bool original)
{
    return original ? &t->definition : &t->active_definition;
}

static char **
active_fingerprint(struct job_table *t, bool original)
{
    return original ? &t->fingerprint : &t->active_fingerprint;
}

/* Whether both tables had the same value of each property that was changed. */
static bool
were_equal(const struct pair *before, json_t *changes)
{
    json_t *change;
    size_t i;

    json_array_foreach(changes, i, change)
    {
        const char *object = json_string_value(json_object_get(change, "object"));
        const char *property = json_string_value(json_object_get(change, "property"));
        json_t *value = property != NULL ? value_of(before->active, object, property) : NULL;

        if (value == NULL || !json_equal(value, value_of(before->inactive, object, property)))
            return false;
    }
    return true;
}

/* Columns that are the same in both tables, under the same name. */
static void
list_same_columns(const struct plan *plan, struct buffer *names)
{
    for (int i = 0; i < plan->target->column_count; i++) {
        const struct column *to = &plan->target->columns[i], *from;

        from = table_column_named(plan->source, to->name);
        if (from != NULL && from->attnum == to->attnum)
            array_add(names, to->name);
    }
    array_end(names);
}

static const char *
statement_for(const struct result *r, const char *object, const char *property)
{
    for (int i = 0; i < result_rows(r); i++)
        if (strcmp(row_text(r, i, "object"), object) == 0 &&
            strcmp(row_text(r, i, "property"), property) == 0)
            return row_text(r, i, "sql");
    return NULL;
}

/* Run the statement of each change. *known: there is one for each. */
static bool
run_statements(struct engine *e, int table, json_t *changes, bool *known, struct error *err)
{
    struct buffer columns = {0};
    struct params p = {0};
    struct result r = {0};
    json_t *change;
    size_t i;
    bool ok;

    list_same_columns(e->tables[table].plan, &columns);
    params_uint(&p, job_active_oid(&e->job, table));
    params_uint(&p, job_other_oid(&e->job, table));
    params_text(&p, columns.data);
    ok = session_query_with(e->control, &r, err, sql_carry, &p);
    *known = ok;
    json_array_foreach(changes, i, change)
    {
        const char *sql = !*known ? NULL
                                  : statement_for(&r, json_string_value(json_object_get(change, "object")),
                                                  json_string_value(json_object_get(change, "property")));

        *known = *known && sql != NULL;
        ok = ok && (sql == NULL || sql[0] == '\0' || session_execute(e->control, err, sql));
    }
    result_free(&r);
    buffer_free(&columns);
    return ok;
}

static bool
read_pair(struct engine *e, int table, struct table_definition *active, struct table_definition *inactive,
          struct error *err)
{
    return engine_read_definition(e, job_active_oid(&e->job, table), active, err) &&
           engine_read_definition(e, job_other_oid(&e->job, table), inactive, err);
}

/* The definitions are those of before, with the present values of what was changed, and with nothing else. */
static bool
is_exact(struct pair *before, const struct pair *now, json_t *changes)
{
    json_t *change;
    size_t i;

    json_array_foreach(changes, i, change)
    {
        const char *object = json_string_value(json_object_get(change, "object"));
        const char *property = json_string_value(json_object_get(change, "property"));
        json_t *value = value_of(now->active, object, property);

        if (value == NULL)
            return false;
        json_object_set(json_object_get(before->active, object), property, value);
        json_object_set(json_object_get(before->inactive, object), property, value);
    }
    return json_equal(before->active, now->active) && json_equal(before->inactive, now->inactive);
}

static void
take_text(char **to, const char *from)
{
    free(*to);
    *to = mem_strdup(from);
}

/* Store what was read, in the transaction that has changed the inactive table. */
static bool
store(struct engine *e, int table, const struct table_definition *active,
      const struct table_definition *inactive, const char *message, json_t *changes, struct error *err)
{
    struct job_table *t = &e->job.tables[table];
    bool original = e->job.swaps == 0;

    take_text(active_definition(t, original), active->text);
    take_text(active_fingerprint(t, original), active->fingerprint);
    take_text(&t->other_definition, inactive->text);
    take_text(&t->other_fingerprint, inactive->fingerprint);
    return job_state_save_definitions(e->control, &e->job, table, err) &&
           event_carried(e->control, &e->job, message, changes, err) && inactive_seal(e, err) &&
           session_commit(e->control, err);
}

static char *
describe(const struct engine *e, int table, json_t *changes)
{
    struct buffer text = {0};
    json_t *change;
    size_t i;

    buffer_printf(&text, "a change of %s was made on %s too: ", e->tables[table].plan->names.source_sql,
                  e->tables[table].plan->names.shadow_sql);
    json_array_foreach(changes, i, change)
    {
        buffer_printf(&text, "%s%s: %s", i > 0 ? "; " : "",
                      json_string_value(json_object_get(change, "object")),
                      json_string_value(json_object_get(change, "property")));
    }
    return buffer_take(&text);
}

static bool
carry(struct engine *e, int table, struct pair *before, json_t *changes, bool *carried, struct error *err)
{
    struct table_definition active = {0}, inactive = {0};
    struct pair now = {0};
    char *message = describe(e, table, changes);
    bool known = false, exact = false;
    bool ok = session_execute(e->control, err, "BEGIN; SET LOCAL lock_timeout = '200ms'") &&
              inactive_lock(e, err) && !e->distrusted && run_statements(e, table, changes, &known, err) &&
              known && read_pair(e, table, &active, &inactive, err);

    if (ok) {
        now.active = json_loads(active.text, 0, NULL);
        now.inactive = json_loads(inactive.text, 0, NULL);
        exact = is_exact(before, &now, changes);
    }
    *carried = exact && store(e, table, &active, &inactive, message, changes, err);
    if (*carried)
        log_info("%s", message);
    else
        session_rollback(e->control);
    pair_clear(&now);
    table_definition_clear(&active);
    table_definition_clear(&inactive);
    free(message);
    return *carried;
}

bool
carry_changes(struct engine *e, int table, json_t *changes, bool *carried, struct error *err)
{
    struct job_table *t = &e->job.tables[table];
    const char *active = *active_definition(t, e->job.swaps == 0);
    struct pair before = {0};
    struct error failed = {0};
    bool ok = true;

    *carried = false;
    if (!e->job.shadow_complete || e->distrusted || !engine_applies(e) || !engine_at_boundary(e) ||
        active == NULL || t->other_definition == NULL || t->other_fingerprint == NULL)
        return true;
    if (!inactive_check(e, err))
        return false;
    before.active = json_loads(active, 0, NULL);
    before.inactive = json_loads(t->other_definition, 0, NULL);
    if (were_equal(&before, changes) && !carry(e, table, &before, changes, carried, &failed) &&
        (failed.connection_lost || failed.stopped)) {
        error_move(err, &failed);
        ok = false;
    }
    error_clear(&failed);
    pair_clear(&before);
    return ok;
}
