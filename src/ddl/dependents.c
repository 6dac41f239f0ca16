#include "ddl/dependents.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/list.h"
#include "ddl/names.h"
#include "ddl/rename.h"
#include "ddl/retarget.h"
#include "ddl/view.h"
#include "sql/sql.h"

enum fate { FATE_NONE, FATE_REPLACED, FATE_REMADE };

static const char *const fates[] = {
    [FATE_NONE] = "stays as it is",
    [FATE_REPLACED] = "turned to the new table in the swap, in place",
    [FATE_REMADE] = "taken away and made again in the swap",
};

/* One object, which may hang on several tables of the job. */
struct hanging {
    const struct dependent *d; /* as one of the tables has it */
    bool direct;               /* it hangs on one of the tables itself */
    int base_count;
    int *bases; /* positions in work.items */
    enum fate fate;
};

struct work {
    struct session *s;
    const struct dependents_table *tables;
    int table_count;
    struct string_list *reasons;
    int count;
    struct hanging *items;
    int *order; /* positions of the items: each after all that it hangs on */
    struct retarget map;
    struct string_list schemas; /* of the dependents … */
    struct string_list mirrors; /* … and those in which they are tried out */
    bool functions;             /* some are made in the swap */
};

static struct hanging *
item_of(struct work *w, const struct dependent *d)
{
    for (int i = 0; i < w->count; i++)
        if (d->class_oid != 0 && w->items[i].d->class_oid == d->class_oid && w->items[i].d->oid == d->oid)
            return &w->items[i];
    return NULL;
}

static void
collect(struct work *w)
{
    for (int t = 0; t < w->table_count; t++) {
        const struct table *source = w->tables[t].source;

        w->items = mem_array(w->items, (size_t)(w->count + source->dependent_count) + 1, sizeof(*w->items));
        for (int i = 0; i < source->dependent_count; i++) {
            const struct dependent *d = &source->dependents[i];
            struct hanging *item = item_of(w, d);

            if (item == NULL && d->class_oid != 0) {
                item = &w->items[w->count++];
                *item = (struct hanging){.d = d};
            }
            if (item != NULL)
                item->direct = item->direct || d->direct;
        }
    }
}

static void
add_base(struct hanging *item, int position)
{
    for (int i = 0; i < item->base_count; i++)
        if (item->bases[i] == position)
            return;
    item->bases = mem_array(item->bases, (size_t)item->base_count + 1, sizeof(*item->bases));
    item->bases[item->base_count++] = position;
}

static void
connect_items(struct work *w)
{
    for (int t = 0; t < w->table_count; t++) {
        const struct table *source = w->tables[t].source;

        for (int i = 0; i < source->dependent_count; i++) {
            const struct dependent *d = &source->dependents[i];
            struct hanging *item = item_of(w, d);

            for (int k = 0; item != NULL && k < d->base_count; k++) {
                struct hanging *base = item_of(w, &source->dependents[d->bases[k]]);

                if (base != NULL)
                    add_base(item, (int)(base - w->items));
            }
        }
    }
}

static bool
in_order(const struct work *w, int count, int position)
{
    for (int i = 0; i < count; i++)
        if (w->order[i] == position)
            return true;
    return false;
}

static bool
bases_in_order(const struct work *w, int count, const struct hanging *item)
{
    for (int i = 0; i < item->base_count; i++)
        if (!in_order(w, count, item->bases[i]))
            return false;
    return true;
}

/* pg_depend has no cycles among what can be made again; should it, the rest comes in any order. */
static void
sort(struct work *w)
{
    int count = 0, before;

    w->order = mem_alloc(((size_t)w->count + 1) * sizeof(*w->order));
    do {
        before = count;
        for (int i = 0; i < w->count; i++)
            if (!in_order(w, count, i) && bases_in_order(w, count, &w->items[i]))
                w->order[count++] = i;
    } while (count > before);
    for (int i = 0; i < w->count; i++)
        if (!in_order(w, count, i))
            w->order[count++] = i;
}

static bool
is_named(const struct dependent *d)
{
    return d->schema != NULL && d->name != NULL;
}

static bool
hangs_on_remade(const struct work *w, const struct hanging *item)
{
    for (int i = 0; i < item->base_count; i++)
        if (w->items[item->bases[i]].fate == FATE_REMADE)
            return true;
    return false;
}

/* The scratch schema for all of a real one. */
static const char *
mirror_of(struct work *w, const char *schema)
{
    for (int i = 0; i < w->schemas.count; i++)
        if (strcmp(w->schemas.items[i], schema) == 0)
            return w->mirrors.items[i];
    list_add(&w->schemas, mem_strdup(schema));
    list_addf(&w->mirrors, "%s_%d", w->tables[0].clone_schema, w->schemas.count);
    return w->mirrors.items[w->mirrors.count - 1];
}

/* Statements are to name the clones in the place of the tables; views and functions once they are tried out.
 */
static bool
map_names(struct work *w, struct error *err)
{
    for (int t = 0; t < w->table_count; t++) {
        const struct table *source = w->tables[t].source;
        struct result r = {0};
        bool ok = session_row(w->s, &r, err, "SELECT pg_catalog.quote_ident($1), pg_catalog.quote_ident($2)",
                              2, source->schema, source->name);

        if (ok)
            retarget_add(&w->map, result_text(&r, 0, 0), result_text(&r, 0, 1), w->tables[t].clone_schema);
        result_free(&r);
        if (!ok)
            return false;
    }
    for (int i = 0; i < w->count; i++)
        if (is_named(w->items[i].d))
            mirror_of(w, w->items[i].d->schema);
    for (int i = 0; i < w->count; i++)
        if (w->items[i].d->holder.count > 0)
            mirror_of(w, w->items[i].d->holder.items[1]);
    return true;
}

/* The renames of all tables, which are called so in those schemas: the clones' or the real ones. */
static void
plan_renames(const struct work *w, bool clones, struct string_list *before, struct string_list *after)
{
    for (int t = 0; t < w->table_count; t++) {
        const struct dependents_table *table = &w->tables[t];
        char *name =
            name_qualified(clones ? table->clone_schema : table->source->schema, table->source->name);

        renames_plan(table->source, table->target, name, before, after);
        free(name);
    }
}

/* Where everything is tried out: clones under the sources' column names, and a schema for each real one. */
static bool
open_mirror(struct work *w, struct error *err)
{
    struct string_list before = {0}, after = {0};
    bool ok = session_execute(w->s, err, "SAVEPOINT pgrecast_dependents") && map_names(w, err);

    for (int i = 0; ok && i < w->mirrors.count; i++)
        ok = session_executef(w->s, err, "CREATE SCHEMA %s", w->mirrors.items[i]);
    plan_renames(w, true, &before, &after);
    for (int i = 0; ok && i < before.count; i++)
        ok = session_execute(w->s, err, before.items[i]);
    list_free(&before);
    list_free(&after);
    return ok;
}

/* What the server says against it is a reason to refuse; its scratch schemas are not named. */
static void
refuse(struct work *w, const struct dependent *d, struct error *err)
{
    for (int t = 0; t < w->table_count; t++)
        view_strip_schema(w->tables[t].clone_schema, err->message);
    for (int i = 0; i < w->mirrors.count; i++)
        view_strip_schema(w->mirrors.items[i], err->message);
    list_addf(w->reasons, "%s cannot be made over the new table: %s", d->description, err->message);
    error_clear(err);
}

/*
 * Run the statements over the clone. *done is false where the server does not take them, which is a reason to
 * refuse, unless it names what may be NULL: a stand-in, which is not all that the real one is.
 */
static bool
try_out(struct work *w, const struct dependent *d, int count, const char *stand_in, bool *done,
        struct error *err)
{
    bool ok = session_execute(w->s, err, "SAVEPOINT pgrecast_dependent");

    *done = ok;
    for (int i = 0; *done && i < count; i++) {
        char *sql = retarget_statement(&w->map, d->attach.items[i], err);

        *done = sql != NULL && session_execute(w->s, err, sql);
        free(sql);
    }
    if (*done || !ok || err->connection_lost || err->stopped)
        return *done;
    if (stand_in != NULL && strstr(err->message, stand_in) != NULL)
        error_clear(err);
    else
        refuse(w, d, err);
    return session_execute(w->s, err, "ROLLBACK TO SAVEPOINT pgrecast_dependent");
}

/* False in *made where the server does not make it: then nothing is known. */
static bool
make_stand_in(struct work *w, const struct dependent *d, const char *name, bool *made, struct error *err)
{
    struct result r = {0};
    bool ok = session_query(w->s, &r, err, sql_catalog_stand_in, 2, d->holder.items[0], name);

    *made = ok && result_rows(&r) > 0;
    for (int i = 0; ok && i < result_rows(&r); i++)
        ok = session_execute(w->s, err, result_text(&r, i, 1));
    result_free(&r);
    if (ok || err->connection_lost || err->stopped)
        return ok;
    *made = false;
    error_clear(err);
    return true;
}

/* On the real table or view it would lock that, and be there already. */
static bool
try_on_stand_in(struct work *w, const struct dependent *d, struct error *err)
{
    const char *mirror = mirror_of(w, d->holder.items[1]);
    char *name = mem_printf("%s.%s", mirror, d->holder.items[2]);
    bool made = false, done;
    bool ok =
        session_execute(w->s, err, "SAVEPOINT pgrecast_holder") && make_stand_in(w, d, name, &made, err);

    if (ok && made) {
        retarget_add(&w->map, d->holder.items[1], d->holder.items[2], mirror);
        ok = try_out(w, d, d->attach.count, name, &done, err);
        retarget_drop_last(&w->map);
    }
    free(name);
    return ok && session_execute(w->s, err, "ROLLBACK TO SAVEPOINT pgrecast_holder");
}

static bool
gives_the_same(struct work *w, const struct dependent *d, bool *same, struct error *err)
{
    struct result r = {0};
    bool ok = session_row(w->s, &r, err, sql_plan_view_columns, 2, mirror_of(w, d->schema), d->name);

    *same = ok && !result_null(&r, 0, 0) && strcmp(result_text(&r, 0, 0), d->columns) == 0;
    result_free(&r);
    return ok;
}

/*
 * A body that the server has parsed is known by its objects, and must fit them. One that is a text is looked
 * at when it is called, and here it would be with the real tables.
 */
static bool
check_bodies(struct work *w, const struct dependent *d, struct error *err)
{
    return session_executef(w->s, err, "SET LOCAL check_function_bodies TO %s",
                            strstr(d->attach.items[0], "\nBEGIN ATOMIC\n") != NULL ? "on" : "off");
}

/* A view or function: its definition alone says all about it that others can depend on. */
static bool
settle_named(struct work *w, struct hanging *item, struct error *err)
{
    const struct dependent *d = item->d;
    bool remade = hangs_on_remade(w, item), same = true, done;

    if ((!item->direct && !remade) || d->attach.count == 0)
        return true;
    retarget_add(&w->map, d->schema, d->name, mirror_of(w, d->schema));
    if (!check_bodies(w, d, err) || !try_out(w, d, 1, NULL, &done, err))
        return false;
    if (done && d->columns != NULL && !gives_the_same(w, d, &same, err))
        return false;
    item->fate = remade || !same || !d->replaceable ? FATE_REMADE : FATE_REPLACED;
    w->functions = w->functions || d->columns == NULL;
    return true;
}

/* A rule, trigger or policy, a column's default, or what a publication has of a table. */
static bool
settle_piece(struct work *w, struct hanging *item, struct error *err)
{
    const struct dependent *d = item->d;
    bool done;

    if (!item->direct && !hangs_on_remade(w, item))
        return true;
    item->fate = FATE_REMADE;
    if (d->holder.count > 0 && !retarget_has(&w->map, d->holder.items[1], d->holder.items[2]))
        return try_on_stand_in(w, d, err);
    return try_out(w, d, d->attach.count, NULL, &done, err);
}

static void
settle_reasons(struct work *w, const struct hanging *item)
{
    const struct dependent *d = item->d;

    if (d->reason != NULL && !item->direct && hangs_on_remade(w, item))
        list_addf(w->reasons, "%s: %s", d->description, d->reason);
    for (int i = 0; item->fate == FATE_REMADE && i < d->obstacles.count; i++)
        list_addf(w->reasons, "%s: %s", d->description, d->obstacles.items[i]);
}

static bool
settle(struct work *w, struct error *err)
{
    for (int i = 0; i < w->count; i++) {
        struct hanging *item = &w->items[w->order[i]];

        if (item->d->reason == NULL &&
            !(is_named(item->d) ? settle_named(w, item, err) : settle_piece(w, item, err)))
            return false;
        settle_reasons(w, item);
    }
    return session_execute(w->s, err, "ROLLBACK TO SAVEPOINT pgrecast_dependents");
}

static void
write_down(const struct work *w, struct dependents_plan *plan)
{
    if (w->functions) /* as ALTER TABLE leaves them: right or not, they are not looked at */
        list_addf(&plan->attach, "SET LOCAL check_function_bodies TO off");
    for (int i = w->count - 1; i >= 0; i--) {
        const struct hanging *item = &w->items[w->order[i]];

        if (item->fate != FATE_NONE)
            for (int k = 0; k < item->d->lock.count; k++)
                list_add_once(&plan->locks, item->d->lock.items[k]);
        if (item->fate != FATE_NONE && item->d->holder.count > 0)
            list_add_once(&plan->locked, item->d->holder.items[0]);
        if (item->fate == FATE_REMADE)
            list_add_all(&plan->detach, &item->d->detach);
    }
    for (int i = 0; i < w->count; i++) {
        const struct hanging *item = &w->items[w->order[i]];

        if (item->fate != FATE_NONE)
            list_add_all(&plan->attach, item->fate == FATE_REMADE ? &item->d->attach : &item->d->replace);
    }
    plan_renames(w, false, &plan->names_before, &plan->names_after);
}

static void
tell_fates(struct work *w)
{
    for (int t = 0; t < w->table_count; t++) {
        struct table *source = w->tables[t].source;

        for (int i = 0; i < source->dependent_count; i++) {
            const struct hanging *item = item_of(w, &source->dependents[i]);

            if (item == NULL)
                continue;
            free(source->dependents[i].fate);
            source->dependents[i].fate = mem_strdup(fates[item->fate]);
        }
    }
}

bool
dependents_plan_make(struct dependents_plan *plan, struct session *s, const struct dependents_table *tables,
                     int count, struct string_list *reasons, struct error *err)
{
    struct work w = {.s = s, .tables = tables, .table_count = count, .reasons = reasons};
    bool ok;

    collect(&w);
    connect_items(&w);
    sort(&w);
    ok = open_mirror(&w, err) && settle(&w, err);
    if (ok) {
        write_down(&w, plan);
        tell_fates(&w);
    }
    for (int i = 0; i < w.count; i++)
        free(w.items[i].bases);
    free(w.items);
    free(w.order);
    retarget_free(&w.map);
    list_free(&w.schemas);
    list_free(&w.mirrors);
    return ok ? true : error_context(err, "trying out what hangs on the table");
}

void
dependents_plan_free(struct dependents_plan *plan)
{
    list_free(&plan->locks);
    list_free(&plan->locked);
    list_free(&plan->detach);
    list_free(&plan->attach);
    list_free(&plan->names_before);
    list_free(&plan->names_after);
}
