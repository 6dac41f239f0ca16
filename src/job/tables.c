/* Functions on all tables of a job together. */
#include <stdlib.h>

#include "core/mem.h"
#include "engine.h"
#include "pg/redact.h"
#include "tables.h"

void
engine_set_plans(struct engine *e, struct plan_set *plans)
{
    e->plans = plans;
    if (e->tables == NULL)
        e->tables = mem_alloc((size_t)plans->table_count * sizeof(*e->tables));
    e->table_count = plans->table_count;
    for (int i = 0; i < e->table_count; i++) {
        e->tables[i].plans = &plans->tables[i];
        e->tables[i].plan = NULL;
    }
}

bool
engine_follows(const struct engine *e)
{
    return e->table_count > 0 && e->tables[0].plan != NULL;
}

bool
engine_applies(const struct engine *e)
{
    return e->table_count > 0 && e->tables[e->table_count - 1].apply != NULL;
}

bool
engine_at_boundary(const struct engine *e)
{
    for (int i = 0; i < e->table_count; i++)
        if (!apply_at_boundary(e->tables[i].apply))
            return false;
    return true;
}

uint64_t
engine_changes(const struct engine *e)
{
    uint64_t changes = 0;

    for (int i = 0; i < e->table_count; i++)
        changes += apply_changes(e->tables[i].apply);
    return changes;
}

int64_t
engine_blocked(const struct engine *e)
{
    int64_t blocked = 0;

    for (int i = 0; i < e->table_count; i++)
        blocked += apply_blocked(e->tables[i].apply);
    return blocked;
}

int64_t
engine_dirty_count(const struct engine *e)
{
    int64_t count = 0;

    for (int i = 0; i < e->table_count; i++)
        count += apply_dirty_count(e->tables[i].apply);
    return count;
}

bool
engine_dirty_truncated(const struct engine *e)
{
    for (int i = 0; i < e->table_count; i++)
        if (apply_dirty_truncated(e->tables[i].apply))
            return true;
    return false;
}

bool
engine_has_dirty(const struct engine *e)
{
    return e->table_count > 0 && e->tables[0].dirty != NULL;
}

void
engine_forget_dirty(struct engine *e)
{
    for (int i = 0; i < e->table_count; i++) {
        dirty_free(e->tables[i].dirty);
        e->tables[i].dirty = NULL;
    }
}

void
engine_name_table(const struct engine *e, const struct engine_table *t, struct error *err)
{
    if (e->table_count > 1 && (error_is_of_a_row(err) || err->kind == ERROR_PARITY))
        error_context(err, "table %s", t->plan->names.source_sql);
}

const char *
engine_plural(const struct engine *e)
{
    return e->table_count > 1 ? "s" : "";
}
