/* The place where the statements for dependents are tried out: the clones, and a scratch schema for each real one. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/name.h"
#include "dependents_work.h"
#include "rename.h"

bool
dependents_is_named(const struct dependent *d)
{
    return d->schema != NULL && d->name != NULL;
}

const char *
dependents_mirror_of(struct dependents_work *w, const char *schema)
{
    for (int i = 0; i < w->schemas.count; i++)
        if (strcmp(w->schemas.items[i], schema) == 0)
            return w->mirrors.items[i];
    list_add(&w->schemas, mem_strdup(schema));
    list_addf(&w->mirrors, "%s_%d", w->tables[0].clone_schema, w->schemas.count);
    return w->mirrors.items[w->mirrors.count - 1];
}

/*
 * Statements have to name the clones instead of the tables, and the views and functions that were tried out
 * before.
 */
static bool
dependents_map_names(struct dependents_work *w, struct error *err)
{
    for (int t = 0; t < w->table_count; t++) {
        const struct table *source = w->tables[t].source;
        struct result r = {0};
        bool ok = session_row(
            w->s, &r, err, "SELECT pg_catalog.quote_ident($1) AS schema, pg_catalog.quote_ident($2) AS name",
            2, source->schema, source->name);

        if (ok)
            retarget_add(&w->map, row_text(&r, 0, "schema"), row_text(&r, 0, "name"),
                         w->tables[t].clone_schema);
        result_free(&r);
        if (!ok)
            return false;
    }
    for (int i = 0; i < w->count; i++)
        if (dependents_is_named(w->items[i].d))
            dependents_mirror_of(w, w->items[i].d->schema);
    for (int i = 0; i < w->count; i++) {
        const struct dependent *d = w->items[i].d;

        if (d->holder.count > 0)
            dependents_mirror_of(w, d->holder.items[1]);
        for (int k = 0; k + 2 < d->pieces.count; k += 3)
            dependents_mirror_of(w, d->pieces.items[k + 1]);
    }
    return true;
}

void
dependents_plan_renames(const struct dependents_work *w, bool clones, struct string_list *before,
                        struct string_list *after)
{
    for (int t = 0; t < w->table_count; t++) {
        const struct dependents_table *table = &w->tables[t];
        char *name =
            name_qualified(clones ? table->clone_schema : table->source->schema, table->source->name);

        renames_plan(table->source, table->target, name, before, after);
        free(name);
    }
}

bool
dependents_open_mirror(struct dependents_work *w, struct error *err)
{
    struct string_list before = {0}, after = {0};
    bool ok = session_execute(w->s, err, "SAVEPOINT pgrecast_dependents") && dependents_map_names(w, err);

    for (int i = 0; ok && i < w->mirrors.count; i++)
        ok = session_executef(w->s, err, "CREATE SCHEMA %s", w->mirrors.items[i]) &&
             session_executef(w->s, err, "GRANT USAGE, CREATE ON SCHEMA %s TO PUBLIC", w->mirrors.items[i]);
    dependents_plan_renames(w, true, &before, &after);
    for (int i = 0; ok && i < before.count; i++)
        ok = session_execute(w->s, err, before.items[i]);
    list_free(&before);
    list_free(&after);
    return ok;
}
