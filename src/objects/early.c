#include "early.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/expressions.h"
#include "core/mem.h"
#include "core/name.h"
#include "objects/names.h"
#include "sql/sql.h"
#include "rename.h"
#include "retarget.h"

#define PIECE_TEXTS 3 /* kind, schema, name: see dependent.pieces */

/* A view, an index or a statistics object, and its other names. All are written as in SQL. */
struct renamed {
    const char *word; /* VIEW, MATERIALIZED VIEW, INDEX, STATISTICS */
    const char *schema;
    const char *name;
    char *new_name; /* until the cutover */
    char *old_name; /* of what exists now, after the cutover */
    int view;       /* position of the view that it is or belongs to */
};

struct early {
    const struct early_request *request;
    int count;
    struct renamed *items;
};

static void
early_add(struct early *early, const char *word, const char *schema, const char *name, int view)
{
    early->items = mem_array(early->items, (size_t)early->count + 1, sizeof(*early->items));
    early->items[early->count++] =
        (struct renamed){.word = word, .schema = schema, .name = name, .view = view};
}

static void
early_names_free(struct early *early)
{
    for (int i = 0; i < early->count; i++) {
        free(early->items[i].new_name);
        free(early->items[i].old_name);
    }
    free(early->items);
}

static bool
is_materialized(const struct dependent *d)
{
    return strcmp(d->kind, "materialized view") == 0;
}

static const char *
word_of(const struct dependent *d)
{
    return is_materialized(d) ? "MATERIALIZED VIEW" : "VIEW";
}

static void
collect_names(struct early *early)
{
    for (int i = 0; i < early->request->count; i++) {
        const struct dependent *d = early->request->views[i];

        early_add(early, word_of(d), d->schema, d->name, i);
        for (int k = 0; k + PIECE_TEXTS <= d->pieces.count; k += PIECE_TEXTS)
            early_add(early, d->pieces.items[k], d->pieces.items[k + 1], d->pieces.items[k + 2], i);
    }
}

static void
give_names(struct renamed *item, const char *bare, struct string_list *taken)
{
    char *new_name = name_unlike(bare, "_pgrecast_new", taken);
    char *old_name = name_unlike(bare, "_pgrecast_old", taken);

    item->new_name = name_quoted(new_name);
    item->old_name = name_quoted(old_name);
    free(old_name);
    free(new_name);
}

/* Names that nothing has yet, neither in the schemas nor among those that the job has chosen. */
static bool
choose_names(struct early *early, struct error *err)
{
    const struct early_request *request = early->request;
    struct buffer schemas = {0}, names = {0};
    struct string_list taken = {0};
    struct params p = {0};
    struct result r = {0};
    bool ok;

    for (int i = 0; i < early->count; i++) {
        array_add(&schemas, early->items[i].schema);
        array_add(&names, early->items[i].name);
    }
    params_text(&p, array_end(&schemas));
    params_text(&p, array_end(&names));
    ok = session_query_with(request->s, &r, err, sql_plan_early_names, &p);
    for (int i = 0; i < request->table_count; i++)
        list_add_all(&taken, request->tables[i].taken);
    for (int i = early->count; ok && i < result_rows(&r); i++)
        list_add_once(&taken, row_text(&r, i, "name"));
    for (int i = 0; ok && i < early->count; i++)
        give_names(&early->items[i], row_text(&r, i, "name"), &taken);
    list_free(&taken);
    result_free(&r);
    buffer_free(&names);
    buffer_free(&schemas);
    return ok;
}

/* The scratch schema that stands for a real one. */
static const char *
scratch_of(const struct early *early, const char *schema)
{
    const struct early_request *request = early->request;

    for (int i = 0; i < request->schemas->count; i++)
        if (strcmp(request->schemas->items[i], schema) == 0)
            return request->mirrors->items[i];
    return NULL;
}

/* The schemas that are needed, each once. */
static void
list_scratch(const struct early *early, struct string_list *schemas)
{
    for (int i = 0; i < early->request->table_count; i++)
        list_add_once(schemas, early->request->tables[i].clone_schema);
    for (int i = 0; i < early->count; i++)
        list_add_once(schemas, scratch_of(early, early->items[i].schema));
}

/* A new owner needs the privilege CREATE. Nobody else sees the schemas before they are dropped. */
static void
create_schemas(const struct string_list *schemas, struct string_list *out)
{
    for (int i = 0; i < schemas->count; i++) {
        list_addf(out, "CREATE SCHEMA %s", schemas->items[i]);
        list_addf(out, "GRANT USAGE, CREATE ON SCHEMA %s TO PUBLIC", schemas->items[i]);
    }
}

/* The shadows get the names of their tables, and the columns those that the queries use. */
static void
move_tables(const struct early *early, bool out_of_scratch, struct string_list *out)
{
    for (int i = 0; i < early->request->table_count; i++) {
        const struct dependents_table *t = &early->request->tables[i];
        char *name = name_qualified(t->clone_schema, t->source->name);
        char *shadow = name_qualified(t->source->schema, t->shadow_name);
        char *moved = name_qualified(t->clone_schema, t->shadow_name);
        char *bare = name_quoted(t->source->name), *shadow_bare = name_quoted(t->shadow_name);
        char *schema = name_quoted(t->source->schema);
        struct string_list before = {0}, after = {0};

        renames_plan(t->source, t->target, name, &before, &after);
        if (out_of_scratch) {
            list_add_all(out, &after);
            list_addf(out, "ALTER TABLE %s RENAME TO %s", name, shadow_bare);
            list_addf(out, "ALTER TABLE %s SET SCHEMA %s", moved, schema);
        } else {
            list_addf(out, "ALTER TABLE %s SET SCHEMA %s", shadow, t->clone_schema);
            list_addf(out, "ALTER TABLE %s RENAME TO %s", moved, bare);
            list_add_all(out, &before);
        }
        list_free(&after);
        list_free(&before);
        free(schema);
        free(shadow_bare);
        free(bare);
        free(moved);
        free(shadow);
        free(name);
    }
}

/* What the statements name, and where it is meanwhile. */
static bool
map_names(const struct early *early, struct retarget *map, struct error *err)
{
    for (int i = 0; i < early->request->table_count; i++) {
        const struct dependents_table *t = &early->request->tables[i];
        struct result r = {0};
        bool ok =
            session_row(early->request->s, &r, err,
                        "SELECT pg_catalog.quote_ident($1) AS schema, pg_catalog.quote_ident($2) AS name", 2,
                        t->source->schema, t->source->name);

        if (ok)
            retarget_add(map, row_text(&r, 0, "schema"), row_text(&r, 0, "name"), t->clone_schema);
        result_free(&r);
        if (!ok)
            return false;
    }
    for (int i = 0; i < early->count; i++)
        retarget_add(map, early->items[i].schema, early->items[i].name,
                     scratch_of(early, early->items[i].schema));
    return true;
}

static bool
create_views(const struct early *early, struct string_list *out, struct error *err)
{
    struct retarget map = {0};
    bool ok = map_names(early, &map, err);

    for (int i = 0; ok && i < early->request->count; i++) {
        const struct string_list *attach = &early->request->views[i]->attach;

        for (int k = 0; ok && k < attach->count; k++) {
            char *sql = retarget_statement(&map, attach->items[k], err);

            ok = sql != NULL;
            if (ok)
                list_add(out, sql);
        }
    }
    retarget_free(&map);
    return ok;
}

/* Indexes go to another schema with their view. */
static void
move_views(const struct early *early, struct string_list *out)
{
    for (int i = 0; i < early->count; i++) {
        const struct renamed *item = &early->items[i];
        const char *scratch = scratch_of(early, item->schema);

        list_addf(out, "ALTER %s %s.%s RENAME TO %s", item->word, scratch, item->name, item->new_name);
    }
    for (int i = 0; i < early->count; i++) {
        const struct renamed *item = &early->items[i];

        if (strcmp(item->word, "INDEX") != 0)
            list_addf(out, "ALTER %s %s.%s SET SCHEMA %s", item->word, scratch_of(early, item->schema),
                      item->new_name, item->schema);
    }
}

static bool
plan_create(const struct early *early, struct string_list *out, struct error *err)
{
    struct string_list schemas = {0};
    bool ok;

    list_scratch(early, &schemas);
    create_schemas(&schemas, out);
    move_tables(early, false, out);
    ok = create_views(early, out, err);
    if (early->request->proof != NULL)
        list_add(out, mem_strdup(early->request->proof));
    move_views(early, out);
    move_tables(early, true, out);
    for (int i = 0; i < schemas.count; i++)
        list_addf(out, "DROP SCHEMA %s", schemas.items[i]);
    list_free(&schemas);
    return ok;
}

static void
plan_exchange(const struct renamed *item, struct plan_early *plan)
{
    list_addf(&plan->to_new, "ALTER %s %s.%s RENAME TO %s", item->word, item->schema, item->name,
              item->old_name);
    list_addf(&plan->to_new, "ALTER %s %s.%s RENAME TO %s", item->word, item->schema, item->new_name,
              item->name);
    list_addf(&plan->to_original, "ALTER %s %s.%s RENAME TO %s", item->word, item->schema, item->name,
              item->new_name);
    list_addf(&plan->to_original, "ALTER %s %s.%s RENAME TO %s", item->word, item->schema, item->old_name,
              item->name);
}

static void
plan_view(const struct early *early, int view, struct plan_early *plan)
{
    const struct dependent *d = early->request->views[view];

    plan->description = mem_strdup(d->description);
    plan->stores = is_materialized(d);
    plan->owner = mem_strdup(d->owner);
    for (int i = 0; i < early->count; i++) {
        const struct renamed *item = &early->items[i];

        if (item->view != view)
            continue;
        if (plan->name == NULL) { /* the view itself comes first */
            plan->name = mem_printf("%s.%s", item->schema, item->name);
            plan->new_name = mem_printf("%s.%s", item->schema, item->new_name);
            plan->old_name = mem_printf("%s.%s", item->schema, item->old_name);
        }
        plan_exchange(item, plan);
    }
}

static bool
hides_columns(const struct early_request *request)
{
    for (int i = 0; i < request->table_count; i++)
        if (request->tables[i].hides_columns)
            return true;
    return false;
}

static bool
is_partitioned_later(const struct early_request *request)
{
    for (int i = 0; i < request->table_count; i++)
        if (request->tables[i].target->partition_key != NULL)
            return true;
    return false;
}

static void
refuse_views(const struct early_request *request, struct string_list *reasons)
{
    for (int i = 0; i < request->count; i++) {
        const struct dependent *d = request->views[i];

        if (is_partitioned_later(request))
            list_addf(reasons,
                      "%s cannot be created before the swap: this is not supported yet if the table becomes "
                      "partitioned",
                      d->description);
        else if (d->not_early != NULL)
            list_addf(reasons, "%s cannot be created before the swap: %s", d->description, d->not_early);
        else if (d->whole_row && hides_columns(request))
            list_addf(reasons,
                      "%s cannot be created before the swap: its query uses a row as a whole, and until the "
                      "swap the rows of the new table have the original key too",
                      d->description);
    }
}

static void
note_views(const struct early_request *request, struct string_list *notes)
{
    for (int i = 0; i < request->count; i++) {
        const struct dependent *d = request->views[i];

        if (!is_materialized(d))
            continue;
        if (d->filled)
            list_addf(
                notes,
                "%s (%s%s) is made over the new table and filled before each cutover: from the cutover on "
                "it shows the rows as of that time, not as of its last REFRESH (tables that are not part of "
                "the job may be read a moment later). This takes as long as a REFRESH MATERIALIZED VIEW of "
                "it; how long that is, is not known. A rollback brings back the original with the rows that "
                "it has now",
                d->description, d->size != NULL ? "about " : "its size is not known",
                d->size != NULL ? d->size : "");
        else
            list_addf(notes, "%s has no rows (WITH NO DATA), and the new one will have none either",
                      d->description);
    }
}

bool
early_plan(const struct early_request *request, struct dependents_plan *plan, struct string_list *reasons,
           struct error *err)
{
    struct early early = {.request = request};
    bool ok;

    if (request->count == 0)
        return true;
    refuse_views(request, reasons);
    collect_names(&early);
    ok = choose_names(&early, err) && plan_create(&early, &plan->early_create, err);
    if (ok) {
        plan->early_count = request->count;
        plan->early = mem_alloc((size_t)request->count * sizeof(*plan->early));
        for (int i = 0; i < request->count; i++)
            plan_view(&early, i, &plan->early[i]);
        note_views(request, &plan->notes);
    }
    early_names_free(&early);
    return ok;
}

void
early_free(struct plan_early *early, int count)
{
    for (int i = 0; i < count; i++) {
        free(early[i].description);
        free(early[i].name);
        free(early[i].new_name);
        free(early[i].old_name);
        free(early[i].owner);
        list_free(&early[i].to_new);
        list_free(&early[i].to_original);
    }
    free(early);
}
