#include "carry_dependent.h"

#include <string.h>

#include "carry.h"
#include "catalog/expressions.h"
#include "core/buffer.h"
#include "core/mem.h"
#include "plan/plan.h"
#include "sql/sql.h"

static const char *
object_of(json_t *change)
{
    return json_string_value(json_object_get(change, "object"));
}

static bool
is_added(json_t *change)
{
    return strcmp(json_string_value(json_object_get(change, "what")), "added") == 0;
}

bool
carry_dependent_is(json_t *change)
{
    const char *object = object_of(change);

    return json_is_null(json_object_get(change, "property")) &&
           (strncmp(object, "trigger ", 8) == 0 || strncmp(object, "view ", 5) == 0);
}

static bool
is_text(json_t *value, const char *text)
{
    return text == NULL ? value == NULL || json_is_null(value)
                        : json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* Views are locked. */
static bool
is_defined(json_t *now, const struct result *r, int row)
{
    json_t *properties = json_object_get(now, row_text(r, row, "object"));

    if (!row_null(r, row, "self"))
        return properties != NULL;
    return is_text(json_object_get(properties, "definition"), row_text(r, row, "definition")) &&
           is_text(json_object_get(properties, "comment"),
                   row_null(r, row, "comment") ? NULL : row_text(r, row, "comment"));
}

static bool
read_added(struct engine *e, int table, json_t *changes, struct result *r, int *added, struct error *err)
{
    struct buffer objects = {0}, columns = {0};
    struct params p = {0};
    json_t *change;
    size_t i;
    bool ok;

    json_array_foreach(changes, i, change)
    {
        if (!carry_dependent_is(change) || !is_added(change))
            continue;
        array_add(&objects, object_of(change));
        (*added)++;
    }
    params_uint(&p, job_active_oid(&e->job, table));
    params_uint(&p, job_other_oid(&e->job, table));
    params_text(&p, array_end(&objects));
    carry_list_same_columns(e->tables[table].plan, &columns);
    params_text(&p, columns.data);
    ok = session_query_with(e->control, r, err, sql_carry_dependent, &p);
    buffer_free(&objects);
    buffer_free(&columns);
    return ok;
}

bool
carry_dependents_lock(struct engine *e, int table, json_t *changes, struct error *err)
{
    struct result r = {0};
    int added = 0;
    bool ok = read_added(e, table, changes, &r, &added, err);

    for (int i = 0; ok && i < result_rows(&r); i++)
        ok = row_null(&r, i, "self") ||
             session_executef(e->control, err, "LOCK TABLE %s IN ACCESS SHARE MODE", row_text(&r, i, "self"));
    result_free(&r);
    return ok;
}

/* Code of others, and operators that another search_path finds, are in no object that is carried over. */
static bool
check_uses(struct engine *e, const struct table *t, bool *exact, struct error *err)
{
    bool ok = true;

    for (int i = 0; ok && i < t->dependent_count; i++) {
        struct object_id object = {t->dependents[i].class_oid, t->dependents[i].oid};
        struct uses uses = {0};

        ok = uses_read(e->control, &object, 1, &uses, err);
        *exact = *exact && ok && uses_are_built_in(&uses);
        uses_free(&uses);
    }
    return ok;
}

struct table *
carry_dependents(struct engine *e, int table, json_t *changes, json_t *now, bool *exact, struct error *err)
{
    struct table *t = mem_alloc(sizeof(*t));
    struct result r = {0};
    int added = 0;
    bool ok = read_added(e, table, changes, &r, &added, err);

    t->oid = job_active_oid(&e->job, table);
    t->dependents = mem_alloc(((size_t)added + 1) * sizeof(*t->dependents));
    *exact = *exact && ok && result_rows(&r) == added;
    for (int i = 0; *exact && i < added; i++) {
        *exact = row_bool(&r, i, "possible") && is_defined(now, &r, i);
        t->dependents[t->dependent_count++] = (struct dependent){
            .class_oid = (oid_t)row_uint(&r, i, "classid"),
            .oid = (oid_t)row_uint(&r, i, "oid"),
            .kind = row_copy(&r, i, "kind"),
            .replaceable = !row_null(&r, i, "self"),
            .description = row_copy(&r, i, "object"),
            .direct = true,
        };
    }
    ok = ok && check_uses(e, t, exact, err) && dependents_read_statements(e->control, t, err);
    result_free(&r);
    if (ok)
        return t;
    table_free(t);
    return NULL;
}

void
carry_dependent_settle(json_t *changes, json_t *before, json_t *now)
{
    json_t *change;
    size_t i;

    json_array_foreach(changes, i, change)
    {
        if (!carry_dependent_is(change))
            continue;
        if (is_added(change))
            json_object_set(before, object_of(change), json_object_get(now, object_of(change)));
        else
            json_object_del(before, object_of(change));
    }
}

bool
carry_dependent_amend(const struct table *added, json_t *changes, int table, struct plan_set *plans)
{
    bool ok = true;
    json_t *change;
    size_t i;

    json_array_foreach(changes, i, change)
    {
        if (carry_dependent_is(change) && !is_added(change))
            ok = ok && plan_set_remove_dependent(plans, table, object_of(change));
    }
    for (int k = 0; ok && k < added->dependent_count; k++)
        ok = plan_set_add_dependent(plans, table, &added->dependents[k]);
    return ok;
}
