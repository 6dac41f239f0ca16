#include "ddl/dependents.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "ddl/list.h"
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

struct work {
    struct session *s;
    struct table *source;
    const char *clone_schema;
    struct string_list *reasons;
    int *order; /* positions of the dependents: each after all that it hangs on */
    enum fate *fates;
    struct retarget map;
    struct string_list schemas; /* of the dependents … */
    struct string_list mirrors; /* … and those in which they are tried out */
    bool functions;             /* some are made in the swap */
};

static bool
in_order(const struct work *w, int count, int position)
{
    for (int i = 0; i < count; i++)
        if (w->order[i] == position)
            return true;
    return false;
}

static bool
bases_in_order(const struct work *w, int count, const struct dependent *d)
{
    for (int i = 0; i < d->base_count; i++)
        if (!in_order(w, count, d->bases[i]))
            return false;
    return true;
}

/* pg_depend has no cycles among what can be made again; should it, the rest comes in any order. */
static void
sort(struct work *w)
{
    int count = 0, before;

    w->order = mem_alloc(((size_t)w->source->dependent_count + 1) * sizeof(*w->order));
    do {
        before = count;
        for (int i = 0; i < w->source->dependent_count; i++)
            if (!in_order(w, count, i) && bases_in_order(w, count, &w->source->dependents[i]))
                w->order[count++] = i;
    } while (count > before);
    for (int i = 0; i < w->source->dependent_count; i++)
        if (!in_order(w, count, i))
            w->order[count++] = i;
}

static bool
is_named(const struct dependent *d)
{
    return d->schema != NULL && d->name != NULL;
}

static bool
hangs_on_remade(const struct work *w, const struct dependent *d)
{
    for (int i = 0; i < d->base_count; i++)
        if (w->fates[d->bases[i]] == FATE_REMADE)
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
    list_addf(&w->mirrors, "%s_%d", w->clone_schema, w->schemas.count);
    return w->mirrors.items[w->mirrors.count - 1];
}

/* Where everything is tried out: the clone under the source's column names, and a schema for each real one.
 */
static bool
open_mirror(struct work *w, const struct dependents_plan *plan, struct error *err)
{
    const struct table *source = w->source;
    struct result r = {0};
    bool ok =
        session_execute(w->s, err, "SAVEPOINT pgrecast_dependents; SET LOCAL check_function_bodies TO off") &&
        session_row(w->s, &r, err, "SELECT pg_catalog.quote_ident($1), pg_catalog.quote_ident($2)", 2,
                    source->schema, source->name);

    if (ok)
        retarget_add(&w->map, result_text(&r, 0, 0), result_text(&r, 0, 1), w->clone_schema);
    result_free(&r);
    for (int i = 0; i < source->dependent_count; i++)
        if (is_named(&source->dependents[i]))
            retarget_add(&w->map, source->dependents[i].schema, source->dependents[i].name,
                         mirror_of(w, source->dependents[i].schema));
    for (int i = 0; ok && i < w->mirrors.count; i++)
        ok = session_executef(w->s, err, "CREATE SCHEMA %s", w->mirrors.items[i]);
    for (int i = 0; ok && i < plan->names_before.count; i++)
        ok = session_execute(w->s, err, plan->names_before.items[i]);
    return ok;
}

/* What the server says against it is a reason to refuse; its scratch schemas are not named. */
static void
refuse(struct work *w, const struct dependent *d, struct error *err)
{
    view_strip_schema(w->clone_schema, err->message);
    for (int i = 0; i < w->mirrors.count; i++)
        view_strip_schema(w->mirrors.items[i], err->message);
    list_addf(w->reasons, "%s cannot be made over the new table: %s", d->description, err->message);
    error_clear(err);
}

/* Run the statements over the clone. *done is false where the server does not take them. */
static bool
try_out(struct work *w, const struct dependent *d, int count, bool *done, struct error *err)
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
    refuse(w, d, err);
    return session_execute(w->s, err, "ROLLBACK TO SAVEPOINT pgrecast_dependent");
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

/* A view or function: its definition alone says all about it that others can depend on. */
static bool
settle_named(struct work *w, int position, struct error *err)
{
    const struct dependent *d = &w->source->dependents[position];
    bool remade = hangs_on_remade(w, d), same = true, done;

    if (!d->direct && !remade)
        return true;
    if (d->attach.count == 0 || !try_out(w, d, 1, &done, err))
        return d->attach.count == 0;
    if (done && d->columns != NULL && !gives_the_same(w, d, &same, err))
        return false;
    w->fates[position] = remade || !same || !d->replaceable ? FATE_REMADE : FATE_REPLACED;
    w->functions = w->functions || d->columns == NULL;
    return true;
}

/* A rule, trigger or policy. Those of another table are not tried out: that would lock it. */
static bool
settle_piece(struct work *w, int position, struct error *err)
{
    const struct dependent *d = &w->source->dependents[position];
    bool done;

    if (!d->direct && !hangs_on_remade(w, d))
        return true;
    w->fates[position] = FATE_REMADE;
    if (strcmp(d->kind, "publication") == 0 ||
        (d->lock.count > 0 && strncmp(d->lock.items[0], "LOCK ", strlen("LOCK ")) == 0))
        return true;
    return try_out(w, d, d->attach.count, &done, err);
}

static void
settle_reasons(struct work *w, int position)
{
    const struct dependent *d = &w->source->dependents[position];

    if (d->reason != NULL && !d->direct && hangs_on_remade(w, d))
        list_addf(w->reasons, "%s: %s", d->description, d->reason);
    for (int i = 0; w->fates[position] == FATE_REMADE && i < d->obstacles.count; i++)
        list_addf(w->reasons, "%s: %s", d->description, d->obstacles.items[i]);
}

static bool
settle(struct work *w, struct error *err)
{
    for (int i = 0; i < w->source->dependent_count; i++) {
        int position = w->order[i];
        const struct dependent *d = &w->source->dependents[position];

        if (d->class_oid != 0 && d->reason == NULL &&
            !(is_named(d) ? settle_named(w, position, err) : settle_piece(w, position, err)))
            return false;
        settle_reasons(w, position);
    }
    return session_execute(w->s, err, "ROLLBACK TO SAVEPOINT pgrecast_dependents");
}

static void
add_once(struct string_list *list, const struct string_list *from)
{
    for (int i = 0; i < from->count; i++)
        if (!list_has(list, from->items[i]))
            list_add(list, mem_strdup(from->items[i]));
}

static void
write_down(const struct work *w, struct dependents_plan *plan)
{
    const struct table *source = w->source;

    if (w->functions) /* as ALTER TABLE leaves them: right or not, they are not looked at */
        list_addf(&plan->attach, "SET LOCAL check_function_bodies TO off");
    for (int i = source->dependent_count - 1; i >= 0; i--) {
        const struct dependent *d = &source->dependents[w->order[i]];

        if (w->fates[w->order[i]] != FATE_NONE)
            add_once(&plan->locks, &d->lock);
        if (w->fates[w->order[i]] == FATE_REMADE)
            list_add_all(&plan->detach, &d->detach);
    }
    for (int i = 0; i < source->dependent_count; i++) {
        struct dependent *d = &source->dependents[w->order[i]];
        enum fate fate = w->fates[w->order[i]];

        if (fate != FATE_NONE)
            list_add_all(&plan->attach, fate == FATE_REMADE ? &d->attach : &d->replace);
        free(d->fate);
        d->fate = d->class_oid != 0 ? mem_strdup(fates[fate]) : NULL;
    }
}

bool
dependents_plan_make(struct dependents_plan *plan, struct session *s, struct table *source,
                     const struct table *after, const char *clone_schema, struct string_list *reasons,
                     struct error *err)
{
    struct work w = {.s = s, .source = source, .clone_schema = clone_schema, .reasons = reasons};
    char *clone = name_qualified(clone_schema, source->name);
    bool ok;

    renames_plan(source, after, clone, &plan->names_before, &plan->names_after);
    w.fates = mem_alloc(((size_t)source->dependent_count + 1) * sizeof(*w.fates));
    sort(&w);
    ok = open_mirror(&w, plan, err) && settle(&w, err);
    list_free(&plan->names_before);
    list_free(&plan->names_after);
    if (ok) {
        char *self = name_qualified(source->schema, source->name);

        renames_plan(source, after, self, &plan->names_before, &plan->names_after);
        write_down(&w, plan);
        free(self);
    }
    free(clone);
    free(w.order);
    free(w.fates);
    retarget_free(&w.map);
    list_free(&w.schemas);
    list_free(&w.mirrors);
    return ok ? true : error_context(err, "trying out what hangs on the table");
}

void
dependents_plan_free(struct dependents_plan *plan)
{
    list_free(&plan->locks);
    list_free(&plan->detach);
    list_free(&plan->attach);
    list_free(&plan->names_before);
    list_free(&plan->names_after);
}
