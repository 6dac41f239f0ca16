#include "objects/dependents.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/expressions.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "rows/view.h"
#include "sql/sql.h"
#include "dependents_work.h"
#include "early.h"
#include "proof.h"
#include "rename.h"
#include "retarget.h"
#include "row_operators.h"

static const char *const fates[] = {
    [FATE_NONE] = "stays as it is",
    [FATE_REPLACED] = "turned to the new table in the swap, in place",
    [FATE_REMADE] = "taken away and made again in the swap",
    [FATE_EARLY] = "made over the new table before the cutover, takes the name in the swap",
};

/* The statements come from the server, except for text that it could not read back itself. */
static bool
dependents_mend(const struct dependents_work *w, struct error *err)
{
    bool ok = true;

    for (int t = 0; t < w->table_count; t++)
        for (int i = 0; i < w->tables[t].source->dependent_count; i++) {
            struct dependent *d = &w->tables[t].source->dependents[i];

            for (int k = 0; ok && k < d->attach.count; k++)
                ok = row_operators_bare(&d->attach.items[k], err);
            for (int k = 0; ok && k < d->replace.count; k++)
                ok = row_operators_bare(&d->replace.items[k], err);
        }
    return ok;
}

static bool
depends_on_fate(const struct dependents_work *w, const struct dependent_item *item, enum fate fate)
{
    for (int i = 0; i < item->base_count; i++)
        if (w->items[item->bases[i]].fate == fate)
            return true;
    return false;
}

/* Something that it depends on becomes another object. */
static bool
loses_base(const struct dependents_work *w, const struct dependent_item *item)
{
    return depends_on_fate(w, item, FATE_REMADE) || depends_on_fate(w, item, FATE_EARLY);
}

/* The server's error is a reason to refuse; the scratch schemas are removed from its text. */
static void
dependents_refuse(struct dependents_work *w, const struct dependent *d, struct error *err)
{
    for (int t = 0; t < w->table_count; t++)
        view_strip_schema(w->tables[t].clone_schema, err->message);
    for (int i = 0; i < w->mirrors.count; i++)
        view_strip_schema(w->mirrors.items[i], err->message);
    list_addf(w->reasons, "%s cannot be made over the new table: %s", d->description, err->message);
    error_clear(err);
}

/* The meaning is the same, but people who compare dumps see the difference. */
static void
note_text(struct dependents_work *w, const struct dependent_item *item, const char *text)
{
    char *path = uses_path(&item->uses);
    int definition = path == NULL ? 0 : 1; /* if there is a path, it is set first */

    if (text != NULL && definition < item->d->attach.count &&
        strcmp(text, item->d->attach.items[definition]) != 0)
        list_addf(&w->notes, "the server will print %s differently", item->d->description);
    free(path);
}

static bool
is_materialized(const struct dependent *d)
{
    return strcmp(d->kind, "materialized view") == 0;
}

static bool
will_be_early(const struct dependent_item *item)
{
    return item->early || is_materialized(item->d);
}

/*
 * What was created over the clone must use what the object uses, except for differences that follow from new
 * types.
 */
static bool
dependents_prove(struct dependents_work *w, struct dependent_item *item, struct error *err)
{
    char *difference, *text = NULL;

    if (item->uses.count == 0)
        return true;
    if (!proof_read(w->s, item->d, &w->map, will_be_early(item) ? &w->early : NULL, &item->made, &text,
                    err)) {
        free(text);
        return false;
    }
    note_text(w, item, text);
    free(text);
    difference = uses_difference(&item->uses, &item->made, &w->types);
    if (difference != NULL)
        list_addf(w->reasons, "%s would not mean the same over the new table: %s", item->d->description,
                  difference);
    free(difference);
    return true;
}

/*
 * Run the statements over the clone. *done is false if the server rejects them. That is a reason to refuse,
 * unless the statements name what may be NULL: a stand-in, which does not have everything that the real
 * object has.
 */
static bool
try_out(struct dependents_work *w, struct dependent_item *item, const struct string_list *statements,
        const char *stand_in, bool *done, struct error *err)
{
    const struct dependent *d = item->d;
    bool ok = session_execute(w->s, err, "SAVEPOINT pgrecast_dependent");

    *done = ok;
    for (int i = 0; *done && i < statements->count; i++) {
        char *sql = retarget_statement(&w->map, statements->items[i], err);

        *done = sql != NULL && session_execute(w->s, err, sql);
        free(sql);
    }
    if (*done)
        return dependents_prove(w, item, err);
    if (!ok || err->connection_lost || err->stopped)
        return false;
    if (stand_in != NULL && strstr(err->message, stand_in) != NULL)
        error_clear(err);
    else
        dependents_refuse(w, d, err);
    return session_execute(w->s, err, "ROLLBACK TO SAVEPOINT pgrecast_dependent");
}

/* *made is false if the server does not create it: then nothing is known about it. */
static bool
dependents_make_stand_in(struct dependents_work *w, const struct dependent *d, const char *name, bool *made,
                         struct error *err)
{
    struct result r = {0};
    bool ok = session_query(w->s, &r, err, sql_catalog_stand_in, 2, d->holder.items[0], name);

    *made = ok && result_rows(&r) > 0;
    for (int i = 0; ok && i < result_rows(&r); i++)
        ok = session_execute(w->s, err, row_text(&r, i, "sql"));
    result_free(&r);
    if (ok || err->connection_lost || err->stopped)
        return ok;
    *made = false;
    error_clear(err);
    return true;
}

/* On the real table or view they would lock that, and the object exists there already. */
static bool
try_on_stand_in(struct dependents_work *w, struct dependent_item *item, struct error *err)
{
    const struct dependent *d = item->d;
    const char *mirror = dependents_mirror_of(w, d->holder.items[1]);
    char *name = mem_printf("%s.%s", mirror, d->holder.items[2]);
    bool made = false, done;
    bool ok = session_execute(w->s, err, "SAVEPOINT pgrecast_holder") &&
              dependents_make_stand_in(w, d, name, &made, err);

    if (ok && made) {
        retarget_add(&w->map, d->holder.items[1], d->holder.items[2], mirror);
        ok = try_out(w, item, &d->attach, name, &done, err);
        retarget_drop_last(&w->map);
    }
    free(name);
    return ok && session_execute(w->s, err, "ROLLBACK TO SAVEPOINT pgrecast_holder");
}

static bool
gives_the_same(struct dependents_work *w, const struct dependent *d, bool *same, struct error *err)
{
    struct result r = {0};
    bool ok =
        session_row(w->s, &r, err, sql_plan_view_columns, 2, dependents_mirror_of(w, d->schema), d->name);

    *same = ok && !row_null(&r, 0, "columns") && strcmp(row_text(&r, 0, "columns"), d->columns) == 0;
    result_free(&r);
    return ok;
}

/* What is over a view whose columns get other types may use the operators and functions for these. */
static bool
add_types_of(struct dependents_work *w, const struct dependent *d, struct error *err)
{
    struct result r = {0};
    struct params p = {0};
    bool ok;

    params_uint(&p, d->oid);
    params_text(&p, dependents_mirror_of(w, d->schema));
    params_text(&p, d->name);
    ok = session_query_with(w->s, &r, err, sql_plan_view_types, &p);
    for (int i = 0; ok && i < result_rows(&r); i++)
        uses_add_type(&w->types, row_text(&r, i, "type"));
    result_free(&r);
    return ok;
}

/*
 * A body that the server has parsed is stored by its objects, and must fit them. A body that is a text is
 * only read when the function is called; here that would be with the real tables.
 */
static bool
check_bodies(struct dependents_work *w, const struct dependent *d, struct error *err)
{
    return session_executef(w->s, err, "SET LOCAL check_function_bodies TO %s",
                            d->parsed_body ? "on" : "off");
}

/* The same for the indexes and extended statistics of a materialized view. */
static bool
prove_part(struct dependents_work *w, const struct result *r, int row, struct error *err)
{
    struct object_id objects[2] = {{(oid_t)row_uint(r, row, "classid"), (oid_t)row_uint(r, row, "objid")},
                                   {(oid_t)row_uint(r, row, "classid"), (oid_t)row_uint(r, row, "made")}};
    const char *what = row_text(r, row, "description");
    struct uses uses[2] = {0};
    char *difference;
    bool ok = uses_read(w->s, objects, 2, uses, err) &&
              proof_add(&w->early, w->s, &objects[1], what, &uses[1], err);

    for (int i = 0; ok && i < w->map.count; i++)
        uses_move(&uses[1], w->map.items[i].to, w->map.items[i].schema);
    difference = ok ? uses_difference(&uses[0], &uses[1], &w->types) : NULL;
    if (difference != NULL)
        list_addf(w->reasons, "%s would not mean the same over the new table: %s", what, difference);
    free(difference);
    uses_free(&uses[0]);
    uses_free(&uses[1]);
    return ok;
}

static bool
prove_parts(struct dependents_work *w, const struct dependent *d, struct error *err)
{
    struct result r = {0}, made = {0};
    struct params p = {0};
    bool ok = true;

    if (d->pieces.count == 0)
        return true;
    params_uint(&p, d->oid);
    ok =
        session_row(w->s, &made, err, "SELECT pg_catalog.to_regclass($1 || '.' || $2)::pg_catalog.oid AS oid",
                    2, dependents_mirror_of(w, d->schema), d->name);
    params_uint(&p, ok ? row_uint(&made, 0, "oid") : 0);
    ok = ok && session_query_with(w->s, &r, err, sql_plan_view_parts, &p);
    for (int i = 0; ok && i < result_rows(&r); i++)
        ok = prove_part(w, &r, i, err);
    result_free(&made);
    result_free(&r);
    return ok;
}

/* A view or function: its definition alone contains everything that others can depend on. */
static bool
settle_named(struct dependents_work *w, struct dependent_item *item, struct error *err)
{
    const struct dependent *d = item->d;
    bool remade = depends_on_fate(w, item, FATE_REMADE), same = true, done;

    if ((!item->direct && !item->early && !loses_base(w, item)) || d->attach.count == 0)
        return true;
    retarget_add(&w->map, d->schema, d->name, dependents_mirror_of(w, d->schema));
    for (int i = 0; i + 2 < d->pieces.count; i += 3)
        retarget_add(&w->map, d->pieces.items[i + 1], d->pieces.items[i + 2],
                     dependents_mirror_of(w, d->pieces.items[i + 1]));
    if (!check_bodies(w, d, err) || !try_out(w, item, &d->replace, NULL, &done, err) ||
        (done && !prove_parts(w, d, err)))
        return false;
    if (done && d->columns != NULL &&
        (!gives_the_same(w, d, &same, err) || (!same && !add_types_of(w, d, err))))
        return false;
    item->fate = will_be_early(item)                  ? FATE_EARLY
                 : remade || !same || !d->replaceable ? FATE_REMADE
                                                      : FATE_REPLACED;
    w->functions = w->functions || d->columns == NULL;
    return true;
}

/* A rule, trigger or policy, a column's default, or the membership of a table in a publication. */
static bool
settle_piece(struct dependents_work *w, struct dependent_item *item, struct error *err)
{
    const struct dependent *d = item->d;
    bool done;

    if (!item->direct && !loses_base(w, item))
        return true;
    item->fate = FATE_REMADE;
    if (d->holder.count > 0 && !retarget_has(&w->map, d->holder.items[1], d->holder.items[2]))
        return try_on_stand_in(w, item, err);
    return try_out(w, item, &d->attach, NULL, &done, err);
}

static void
settle_reasons(struct dependents_work *w, const struct dependent_item *item)
{
    const struct dependent *d = item->d;

    if (d->reason != NULL && !item->direct && loses_base(w, item))
        list_addf(w->reasons, "%s: %s", d->description, d->reason);
    for (int i = 0; (item->fate == FATE_REMADE || item->fate == FATE_EARLY) && i < d->obstacles.count; i++)
        list_addf(w->reasons, "%s: %s", d->description, d->obstacles.items[i]);
}

/* A materialized view that is not populated cannot be read. */
static bool
reads_unpopulated(const struct dependents_work *w, const struct dependent_item *item)
{
    for (int i = 0; i < item->base_count; i++) {
        const struct dependent_item *base = &w->items[item->bases[i]];

        if (is_materialized(base->d) ? !base->d->filled : reads_unpopulated(w, base))
            return true;
    }
    return false;
}

/* What is created early can depend only on what exists by then over the new tables. */
static void
settle_early(struct dependents_work *w, const struct dependent_item *item)
{
    for (int i = 0; i < item->base_count; i++) {
        const struct dependent *base = w->items[item->bases[i]].d;

        if (base->columns == NULL)
            list_addf(w->reasons, "%s depends on %s, which uses the original until the swap",
                      item->d->description, base->description);
    }
    if (item->d->filled && reads_unpopulated(w, item))
        list_addf(w->reasons, "%s cannot be filled: a materialized view that it reads is not populated",
                  item->d->description);
}

/* True if some more views have to be created early, so that everything has to be settled again. */
static bool
mark_early(struct dependents_work *w)
{
    bool any = false;

    for (int i = 0; i < w->count; i++) {
        const struct dependent_item *item = &w->items[i];

        for (int k = 0; item->fate == FATE_EARLY && k < item->base_count; k++) {
            struct dependent_item *base = &w->items[item->bases[k]];

            if (base->d->columns == NULL || base->fate == FATE_EARLY || base->early)
                continue;
            base->early = true;
            any = true;
        }
    }
    return any;
}

/* Forget what an earlier round has found. */
static void
forget_settled(struct dependents_work *w, struct string_list *reasons)
{
    for (int i = 0; i < w->count; i++) {
        w->items[i].fate = FATE_NONE;
        uses_free(&w->items[i].made);
        w->items[i].made = (struct uses){0};
    }
    retarget_free(&w->map);
    list_free(&w->notes);
    list_free(reasons);
    free(proof_statement(&w->early));
    w->functions = false;
}

static bool
settle_round(struct dependents_work *w, struct error *err)
{
    if (!dependents_open_mirror(w, err))
        return false;
    for (int i = 0; i < w->count; i++) {
        struct dependent_item *item = &w->items[w->order[i]];

        if (item->d->reason == NULL &&
            !(dependents_is_named(item->d) ? settle_named(w, item, err) : settle_piece(w, item, err)))
            return false;
    }
    for (int i = 0; i < w->count; i++) {
        settle_reasons(w, &w->items[w->order[i]]);
        if (w->items[w->order[i]].fate == FATE_EARLY)
            settle_early(w, &w->items[w->order[i]]);
    }
    return session_execute(w->s, err, "ROLLBACK TO SAVEPOINT pgrecast_dependents");
}

/* In rounds: what has to be created early is known when it is known which materialized views are. */
static bool
dependents_settle(struct dependents_work *w, struct error *err)
{
    struct string_list *all = w->reasons, reasons = {0};
    bool ok;

    w->reasons = &reasons;
    do {
        forget_settled(w, &reasons);
        ok = settle_round(w, err);
    } while (ok && mark_early(w));
    w->reasons = all;
    list_add_all(all, &reasons);
    list_free(&reasons);
    return ok;
}

static void
write_down(const struct dependents_work *w, struct dependents_plan *plan)
{
    if (w->functions) /* their bodies are not checked, as ALTER TABLE does not check them either */
        list_addf(&plan->attach, "SET LOCAL check_function_bodies TO off");
    for (int i = w->count - 1; i >= 0; i--) {
        const struct dependent_item *item = &w->items[w->order[i]];

        if (item->fate != FATE_NONE)
            for (int k = 0; k < item->d->lock.count; k++)
                list_add_once(&plan->locks, item->d->lock.items[k]);
        if (item->fate != FATE_NONE && item->d->holder.count > 0)
            list_add_once(&plan->locked, item->d->holder.items[0]);
        if (item->fate == FATE_EARLY && is_materialized(item->d)) {
            char *oid = mem_printf("%u", item->d->oid);

            list_add_once(&plan->locked, oid);
            free(oid);
        }
        if (item->fate == FATE_REMADE)
            list_add_all(&plan->detach, &item->d->detach);
    }
    for (int i = 0; i < w->count; i++) {
        const struct dependent_item *item = &w->items[w->order[i]];

        if (item->fate == FATE_REMADE || item->fate == FATE_REPLACED)
            list_add_all(&plan->attach, item->fate == FATE_REMADE ? &item->d->attach : &item->d->replace);
    }
    dependents_plan_renames(w, false, &plan->names_before, &plan->names_after);
}

/*
 * What the swaps create has to use what was found here. If it could not be tried out, it has to use what it
 * uses now; then the types of columns must not change.
 */
static bool
plan_proofs(struct dependents_work *w, struct dependents_plan *plan, struct error *err)
{
    struct proof forward = {0}, back = {0};
    bool ok = true;

    for (int i = 0; ok && i < w->count; i++) {
        const struct dependent_item *item = &w->items[w->order[i]];
        struct object_id object = {item->d->class_oid, item->d->oid};
        const char *what = item->d->description;

        if (item->fate == FATE_NONE || item->uses.count == 0)
            continue;
        if (item->made.count == 0 && w->types.count > 0 && !uses_are_built_in(&item->uses))
            list_addf(w->reasons, "%s cannot be tried out before the swap: it may get another meaning", what);
        ok =
            proof_add(&forward, w->s, &object, what, item->made.count > 0 ? &item->made : &item->uses, err) &&
            proof_add(&back, w->s, &object, what, &item->uses, err);
    }
    plan->proof = proof_statement(&forward);
    plan->proof_back = proof_statement(&back);
    return ok;
}

static bool
plan_early(struct dependents_work *w, struct dependents_plan *plan, struct error *err)
{
    const struct dependent **views = mem_alloc(((size_t)w->count + 1) * sizeof(*views));
    char *proof = proof_statement(&w->early);
    struct early_request request = {.s = w->s,
                                    .tables = w->tables,
                                    .table_count = w->table_count,
                                    .views = views,
                                    .schemas = &w->schemas,
                                    .mirrors = &w->mirrors,
                                    .proof = proof};
    bool ok;

    for (int i = 0; i < w->count; i++) {
        const struct dependent_item *item = &w->items[w->order[i]];

        if (item->fate == FATE_EARLY)
            views[request.count++] = item->d;
    }
    ok = early_plan(&request, plan, w->reasons, err);
    free(proof);
    free(views);
    return ok;
}

static void
tell_fates(struct dependents_work *w)
{
    for (int t = 0; t < w->table_count; t++) {
        struct table *source = w->tables[t].source;

        for (int i = 0; i < source->dependent_count; i++) {
            const struct dependent_item *item = dependents_item_of(w, &source->dependents[i]);

            if (item == NULL)
                continue;
            free(source->dependents[i].fate);
            source->dependents[i].fate = mem_strdup(fates[item->fate]);
        }
    }
}

/* Of all dependents, and the types that columns of the tables get. */
static bool
dependents_read_uses(struct dependents_work *w, struct error *err)
{
    struct object_id *objects = mem_alloc(((size_t)w->count + 1) * sizeof(*objects));
    struct uses *uses = mem_alloc(((size_t)w->count + 1) * sizeof(*uses));
    bool ok;

    for (int i = 0; i < w->count; i++) {
        objects[i] = (struct object_id){w->items[i].d->class_oid, w->items[i].d->oid};
        uses[i] = (struct uses){0};
    }
    ok = uses_read(w->s, objects, w->count, uses, err);
    for (int i = 0; i < w->count; i++)
        w->items[i].uses = uses[i];
    free(uses);
    free(objects);
    for (int t = 0; t < w->table_count; t++)
        proof_add_types(w->tables[t].source, w->tables[t].target, &w->types);
    return ok;
}

bool
dependents_plan_make(struct dependents_plan *plan, struct session *s, const struct dependents_table *tables,
                     int count, struct string_list *reasons, struct error *err)
{
    struct dependents_work w = {.s = s, .tables = tables, .table_count = count, .reasons = reasons};
    bool ok;

    dependents_collect(&w);
    dependents_connect(&w);
    dependents_sort(&w);
    ok = dependents_mend(&w, err) && dependents_read_uses(&w, err) && dependents_settle(&w, err);
    ok = ok && plan_proofs(&w, plan, err) && plan_early(&w, plan, err);
    if (ok) {
        write_down(&w, plan);
        tell_fates(&w);
        list_add_all(&plan->notes, &w.notes);
    }
    for (int i = 0; i < w.count; i++) {
        free(w.items[i].bases);
        uses_free(&w.items[i].uses);
        uses_free(&w.items[i].made);
    }
    free(w.items);
    list_free(&w.types);
    list_free(&w.notes);
    free(w.order);
    retarget_free(&w.map);
    list_free(&w.schemas);
    list_free(&w.mirrors);
    return ok ? true : error_context(err, "trying out what depends on the table");
}

void
dependents_plan_free(struct dependents_plan *plan)
{
    early_free(plan->early, plan->early_count);
    list_free(&plan->early_create);
    list_free(&plan->locks);
    list_free(&plan->locked);
    list_free(&plan->detach);
    list_free(&plan->attach);
    list_free(&plan->notes);
    free(plan->proof);
    free(plan->proof_back);
    list_free(&plan->names_before);
    list_free(&plan->names_after);
}
