#include "additions.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/expressions.h"
#include "catalog/table.h"
#include "core/buffer.h"
#include "core/log.h"
#include "core/mem.h"
#include "sql/sql.h"
#include "state/ledger.h"

/* The columns of the target, and the hidden columns that carry a key until the swap. */
static void
list_columns(const struct plan *plan, struct buffer *names)
{
    for (int i = 0; i < plan->target->column_count; i++)
        array_add(names, plan->target->columns[i].name);
    for (int i = 0; i < plan->key_count; i++)
        if (plan->key[i].hidden)
            array_add(names, plan->key[i].shadow_name);
    array_end(names);
}

static void
list_indexes(const struct plan *plan, struct buffer *names)
{
    for (int i = 0; i < plan->index_count; i++)
        array_add(names, plan->indexes[i].name);
    array_end(names);
}

/* Check constraints are made with the table, and those of exclusion with their indexes. */
static void
list_constraints(const struct plan *plan, struct buffer *names)
{
    for (int i = 0; i < plan->target->constraint_count; i++)
        if (plan->target->constraints[i].type == 'c' && plan->target->constraints[i].validated)
            array_add(names, plan->target->constraints[i].name);
    list_indexes(plan, names);
}

static void
list_partitions(const struct plan *plan, struct buffer *names)
{
    for (int i = 0; i < plan->target->partition_count; i++)
        array_add(names, plan->target->partitions[i].name);
    array_end(names);
}

/* Statistics objects are made last. */
static void
list_statistics(const struct plan *plan, bool complete, struct buffer *definitions)
{
    for (int i = 0; complete && i < plan->target->statistics_count; i++)
        array_add(definitions, plan->target->statistics[i].definition);
    array_end(definitions);
}

static bool
find_additions(struct engine *e, int table, enum additions_when when, struct result *res, struct error *err)
{
    bool complete = when == ADDITIONS_COMPLETE;
    struct buffer constraints = {0}, indexes = {0}, statistics = {0}, partitions = {0};
    const struct plan *plan = e->tables[table].plan;
    char *own = ledger_own(e->control, &e->job, err);
    struct buffer columns = {0};
    struct params p = {0};
    bool ok = own != NULL;

    list_columns(plan, &columns);
    params_uint(&p, e->job.tables[table].shadow_oid);
    params_text(&p, own);
    params_text(&p, columns.data);
    params_bool(&p, complete && plan->target->row_security);
    params_bool(&p, complete && plan->target->force_row_security);
    params_bool(&p, when != ADDITIONS_CREATED);
    list_constraints(plan, &constraints);
    list_indexes(plan, &indexes);
    params_text(&p, complete ? NULL : constraints.data);
    params_text(&p, complete ? NULL : indexes.data);
    params_text(&p, plan->target->owner);
    params_text(&p, plan->target->options);
    params_text(&p, plan->target->toast_options);
    list_statistics(plan, complete, &statistics);
    params_text(&p, statistics.data);
    list_partitions(plan, &partitions);
    params_text(&p, partitions.data);
    ok = ok && session_query_with(e->control, res, err, sql_shadow_additions, &p);
    buffer_free(&statistics);
    buffer_free(&partitions);
    buffer_free(&columns);
    buffer_free(&constraints);
    buffer_free(&indexes);
    free(own);
    return ok;
}

/* The names of the enabled event triggers. If an event trigger made the additions, it is among them. */
static char *
name_event_triggers(struct engine *e)
{
    struct result res = {0};
    struct error ignored = {0};
    char *names = NULL;

    if (session_row(
            e->control, &res, &ignored,
            "SELECT pg_catalog.string_agg(pg_catalog.quote_ident(evtname), ', ' ORDER BY evtname) AS names "
            "FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D' AND evtevent LIKE 'ddl%'",
            0))
        names = row_copy(&res, 0, "names");
    result_free(&res);
    error_clear(&ignored);
    return names;
}

static bool
refuse_addition(struct engine *e, int table, const char *what, char *triggers, struct error *err)
{
    error_set(err, ERROR_REFUSED, "the new table %s was given something that was not planned: %s",
              e->tables[table].plan->names.shadow_sql, what);
    if (triggers != NULL)
        error_detail(err, "Event triggers that fire here: %s. It cannot be taken away again.", triggers);
    error_hint(err,
               "Let the event trigger leave out tables whose name ends with _pgrecast_new, or disable it "
               "for the time of the job.");
    free(triggers);
    return false;
}

/* Remove one addition. The statement runs in a savepoint, so that a refusal can name the addition. */
static bool
remove_one(struct engine *e, int table, const char *what, const char *undo, char *triggers, struct error *err)
{
    struct error failed = {0};
    bool ok = undo != NULL && session_execute(e->control, err, "SAVEPOINT pgrecast_addition") &&
              session_execute(e->control, &failed, undo);

    if (ok)
        log_warning("%s was given %s that was not planned; it is taken away again%s%s",
                    e->tables[table].plan->names.shadow_sql, what,
                    triggers != NULL ? ". Event triggers: " : "", triggers != NULL ? triggers : "");
    if (failed.connection_lost || failed.stopped) {
        error_move(err, &failed);
        return false;
    }
    if (!ok && err->message == NULL) {
        if (failed.message != NULL)
            session_execute(e->control, err, "ROLLBACK TO SAVEPOINT pgrecast_addition");
        refuse_addition(e, table, what, name_event_triggers(e), err);
    }
    error_clear(&failed);
    return ok;
}

bool
additions_remove(struct engine *e, int table, enum additions_when when, struct error *err)
{
    struct result res = {0};
    char *triggers = NULL;
    bool ok = find_additions(e, table, when, &res, err);

    if (ok && result_rows(&res) > 0)
        triggers = name_event_triggers(e);
    for (int i = 0; ok && i < result_rows(&res); i++)
        ok = remove_one(e, table, row_text(&res, i, "what"),
                        row_null(&res, i, "undo") ? NULL : row_text(&res, i, "undo"), triggers, err);
    if (ok && result_rows(&res) > 0) {
        result_free(&res);
        ok = find_additions(e, table, when, &res, err) &&
             (result_rows(&res) == 0 ||
              refuse_addition(e, table, row_text(&res, 0, "what"), name_event_triggers(e), err));
    }
    result_free(&res);
    free(triggers);
    return ok;
}

/* What building indexes does not change. */
static bool
is_compared(const char *object)
{
    return strcmp(object, "table") == 0 || strncmp(object, "column ", 7) == 0 ||
           strncmp(object, "sequence ", 9) == 0;
}

static void
add_changes(json_t *before, json_t *now, struct buffer *text)
{
    const char *object;
    json_t *properties;

    json_object_foreach(now, object, properties)
    {
        json_t *old = json_object_get(before, object), *value;
        const char *property;

        if (!is_compared(object) || json_equal(old, properties))
            continue;
        buffer_printf(text, "%s%s", text->len > 0 ? "; " : "", object);
        json_object_foreach(properties, property, value)
        {
            if (!json_equal(json_object_get(old, property), value))
                buffer_printf(text, ": %s", property);
        }
    }
    json_object_foreach(before, object, properties)
    {
        if (is_compared(object) && json_object_get(now, object) == NULL)
            buffer_printf(text, "%s%s", text->len > 0 ? "; " : "", object);
    }
}

static bool
read_definition(struct engine *e, int table, char **text, struct error *err)
{
    struct table_definition d = {0};
    bool ok = engine_read_definition(e, e->job.tables[table].shadow_oid, &d, err);

    *text = ok ? mem_strdup(d.text) : NULL;
    table_definition_clear(&d);
    return ok;
}

bool
additions_note(struct engine *e, int table, struct error *err)
{
    struct job_table *t = &e->job.tables[table];

    free(t->other_definition);
    t->other_definition = NULL;
    return read_definition(e, table, &t->other_definition, err) &&
           job_state_save_definitions(e->control, &e->job, table, err);
}

bool
additions_check(struct engine *e, int table, struct error *err)
{
    struct buffer changes = {0};
    json_t *before = NULL, *now = NULL;
    char *text = NULL;
    bool ok = read_definition(e, table, &text, err);

    if (ok) {
        const char *noted = e->job.tables[table].other_definition;

        before = noted != NULL ? json_loads(noted, 0, NULL) : NULL;
        now = json_loads(text, 0, NULL);
        if (table_has_general_publication(e->tables[table].plan->source)) {
            json_object_del(json_object_get(before, "table"), "replica identity");
            json_object_del(json_object_get(now, "table"), "replica identity");
        }
        add_changes(before, now, &changes);
    }
    if (changes.len > 0) {
        ok = error_set(err, ERROR_FAILED, "the definition of %s was changed while the job was running: %s",
                       e->tables[table].plan->names.shadow_sql, changes.data);
        error_detail(err, "The table would not be what was planned.");
        error_hint(err, "Undo that change first.");
    }
    json_decref(before);
    json_decref(now);
    buffer_free(&changes);
    free(text);
    return ok;
}
