#include "rollback.h"

#include <stdlib.h>
#include <string.h>

#include "core/list.h"
#include "core/mem.h"
#include "objects/generate.h"
#include "objects/grants.h"
#include "rows/key.h"
#include "rows/rows.h"
#include "refuse.h"

#define WITHOUT "With --rollback-window=0 the job runs without the possibility of a rollback."

bool
rollback_refuse(const struct rollback *w, const struct plan *forward, struct error *err)
{
    struct string_list hints = {0};
    bool ok;

    if (w->obstacles.needs_map != NULL)
        list_addf(
            &hints,
            "Say how values go back with --reverse-map '%s=EXPRESSION', over the columns of the new table, "
            "or: " WITHOUT,
            w->obstacles.needs_map);
    else
        list_addf(&hints, WITHOUT);
    ok = refuse_if(forward->source, &w->obstacles.reasons, &hints, err);
    list_free(&hints);
    return ok;
}

bool
rollback_explore(struct rollback *w, const struct string_list *maps, const struct plan *forward,
                 const struct transform *transform, const struct view_place *place, struct error *err)
{
    const char *lacks = grants_owner_lacks(forward->source);

    if (!reverse_maps_read(&w->maps, maps, forward, place, err) ||
        !inverse_make(&w->inverse, forward, transform, &w->maps, place, &w->obstacles, err))
        return false;
    back_key_choose(&w->key, forward, transform, &w->maps, &w->obstacles);
    if (lacks != NULL)
        list_addf(&w->obstacles.reasons,
                  "a rollback would not be possible: the owner \"%s\" has not the privilege %s on the "
                  "original, which could not be "
                  "kept in sync",
                  forward->source->owner, lacks);
    return true;
}

void
rollback_free(struct rollback *w)
{
    reverse_maps_free(&w->maps);
    transform_free(&w->inverse);
    free(w->key.items);
    list_free(&w->obstacles.reasons);
    free(w->obstacles.needs_map);
    *w = (struct rollback){0};
}

static void
rollback_name_tables(struct plan *p, const struct plan *forward, const char *source_sql,
                     const char *shadow_name, const char *shadow_sql, const char *old_name,
                     const char *old_sql)
{
    p->sql = mem_strdup(forward->sql);
    p->names.source_sql = mem_strdup(source_sql);
    p->names.shadow_name = mem_strdup(shadow_name);
    p->names.shadow_sql = mem_strdup(shadow_sql);
    p->names.old_name = mem_strdup(old_name);
    p->names.old_sql = mem_strdup(old_sql);
}

/*
 * The key's index first, because the apply finds rows by it, unless the key has columns that are not in the
 * index.
 */
static void
describe_originals_indexes(struct plan *back, const struct plan *forward, const struct back_key *key,
                           const struct swap_names *x)
{
    const struct table *s = forward->source;
    const struct generate g = {.table = s, .schema = s->schema, .name = s->name};
    int used = (int)(key->original - s->indexes);

    back->indexes = mem_alloc(((size_t)s->index_count + 1) * sizeof(*back->indexes));
    for (int i = -1; i < s->index_count; i++) {
        const struct index *index = &s->indexes[i < 0 ? used : i];

        if (i == used)
            continue;
        back->indexes[back->index_count++] = (struct plan_index){
            .name = mem_strdup(swap_name_inactive(&x->original, "INDEX", index->name)),
            .final_name = mem_strdup(index->name),
            .sql = generate_index(&g, index),
            .bytes = index->bytes,
            .key = i < 0 && index->key_count == key->count,
        };
    }
}

/* How rows go from the new table to the original. */
static struct plan *
plan_back_rows(const struct rollback *w, const struct plan *forward, struct error *err)
{
    struct plan *p = mem_alloc(sizeof(*p));

    rollback_name_tables(p, forward, forward->names.source_sql, forward->names.old_name,
                         forward->names.old_sql, forward->names.shadow_name, forward->names.shadow_sql);
    p->source = table_copy(forward->target);
    p->target = table_copy(forward->source);
    free(p->source->fingerprint);
    p->source->fingerprint = NULL;
    p->source->oid = 0;
    p->source->relfilenode = 0;
    p->source->bytes = forward->source->bytes;
    p->source->heap_bytes = forward->source->heap_bytes;
    p->source->estimated_rows = forward->source->estimated_rows;
    if (!rows_plan_columns(p, &w->inverse, err)) {
        plan_free(p);
        return NULL;
    }
    back_key_fill(&w->key, p, false);
    rows_plan_insert(p, &w->inverse);
    rows_plan_compare(p, &w->inverse, ROWS_APPLIED);
    return p;
}

static struct plan *
plan_back(const struct rollback *w, const struct plan *forward, const struct swap_names *x, struct error *err)
{
    struct plan *p = plan_back_rows(w, forward, err);

    if (p == NULL)
        return NULL;
    describe_originals_indexes(p, forward, &w->key, x);
    swap_back(x, &p->statements.swap);
    grants_move(p, x, false, &p->statements.swap);
    list_addf(&p->statements.drop_old, "DROP TABLE %s", forward->names.shadow_sql);
    return p;
}

static bool
depends_on_any(const struct column_value *v, int count)
{
    for (int i = 0; i < count; i++)
        if (v->depends_on != NULL && v->depends_on[i])
            return true;
    return false;
}

/*
 * Columns that were added by the change have values of their own once the new table has been active. again: for another
 * cutover, where what is computed of the row is computed again for a row that has changed.
 */
static void
keep_added(struct transform *t, const struct table *original, bool again)
{
    for (int i = 0; i < t->count; i++) {
        struct column_value *v = &t->values[i];
        bool computed = v->origin == COLUMN_FROM_ROW;
        bool added = v->attnum > original->column_count && (computed || v->origin == COLUMN_CONSTANT);

        if (added && !(again && computed && depends_on_any(v, original->column_count)))
            v->kept = true;
    }
}

/* So have columns of which an expression of the user fills the original. */
static void
keep_unproven(struct transform *t, const struct rollback *w, const struct table *original)
{
    for (int i = 0; i < t->count; i++) {
        int column = t->values[i].attnum - 1;

        if (column < original->column_count && t->values[i].origin == COLUMN_FROM_ROW &&
            reverse_map_of(&w->maps, column) != NULL)
            t->values[i].kept = true;
    }
}

static void
copy_key(struct plan *p, const struct plan *forward)
{
    p->key_count = forward->key_count;
    p->key = mem_alloc((size_t)p->key_count * sizeof(*p->key) + 1);
    for (int i = 0; i < p->key_count; i++) {
        const struct plan_key_column *k = &forward->key[i];

        p->key[i] = (struct plan_key_column){
            .source = k->source,
            .source_name = mem_strdup(k->source_name),
            .type = mem_strdup(k->type),
            .collation = mem_strdup(k->collation),
            .shadow_name = mem_strdup(k->shadow_name),
            .hidden = k->hidden,
            .source_equals = mem_strdup(k->source_equals),
            .shadow_equals = mem_strdup(k->shadow_equals),
            .source_collation = mem_strdup(k->source_collation),
            .shadow_collation = mem_strdup(k->shadow_collation),
            .shadow_value = mem_strdup(k->shadow_value),
        };
    }
}

static void
copy_indexes(struct plan *p, const struct plan *forward)
{
    p->indexes = mem_alloc(((size_t)forward->index_count + 1) * sizeof(*p->indexes));
    for (int i = 0; i < forward->index_count; i++) {
        const struct plan_index *x = &forward->indexes[i];

        if (x->final_name == NULL)
            continue;
        p->indexes[p->index_count] = *x;
        p->indexes[p->index_count].name = mem_strdup(x->name);
        p->indexes[p->index_count].final_name = mem_strdup(x->final_name);
        p->indexes[p->index_count].sql = mem_strdup(x->sql);
        p->index_count++;
    }
}

static const char *
why_not_again(const struct plan *forward)
{
    for (int i = 0; i < forward->key_count; i++)
        if (forward->key[i].hidden)
            return "the new table does not keep the values of the original's key, by which its rows would be "
                   "found";
    return key_index(forward) == NULL && !key_leads_index(forward)
               ? "the new table has no unique index on just the columns of the original's key"
               : NULL;
}

static struct plan *
plan_again_rows(const struct plan *forward, const struct transform *transform, struct error *err)
{
    struct plan *p = mem_alloc(sizeof(*p));

    rollback_name_tables(p, forward, forward->names.source_sql, forward->names.shadow_name,
                         forward->names.shadow_sql, forward->names.old_name, forward->names.old_sql);
    p->source = table_copy(forward->source);
    p->target = table_copy(forward->target);
    if (!rows_plan_columns(p, transform, err)) {
        plan_free(p);
        return NULL;
    }
    copy_key(p, forward);
    rows_plan_insert(p, transform);
    rows_plan_compare(p, transform, ROWS_PROVEN);
    return p;
}

static struct plan *
plan_again(const struct plan *forward, const struct transform *transform, const struct swap_names *x,
           struct error *err)
{
    struct plan *p = plan_again_rows(forward, transform, err);

    if (p == NULL)
        return NULL;
    copy_indexes(p, forward);
    swap_again(x, &p->statements.swap);
    grants_move(p, x, true, &p->statements.swap);
    list_add_all(&p->statements.drop_old, &forward->statements.drop_old);
    return p;
}

static struct plan *
plan_proof(const struct rollback *w, const struct plan *forward, const struct transform *transform,
           struct error *err)
{
    struct plan *p = mem_alloc(sizeof(*p));

    rollback_name_tables(p, forward, forward->names.old_sql, forward->source->name, forward->names.source_sql,
                         forward->names.old_name, forward->names.old_sql);
    p->source = table_copy(forward->source);
    p->target = table_copy(forward->target);
    if (!rows_plan_columns(p, transform, err)) {
        plan_free(p);
        return NULL;
    }
    back_key_fill(&w->key, p, true);
    rows_plan_compare(p, transform, ROWS_PROVEN);
    return p;
}

bool
rollback_plan(const struct rollback *w, struct plan_table *plans, struct transform *transform,
              const struct swap_names *x, struct error *err)
{
    const struct plan *forward = plans->forward;

    plans->back = plan_back(w, forward, x, err);
    if (plans->back == NULL)
        return false;
    keep_added(transform, forward->source, true);
    plans->why_not_again = mem_strdup(why_not_again(forward));
    if (plans->why_not_again == NULL && (plans->again = plan_again(forward, transform, x, err)) == NULL)
        return false;
    keep_added(transform, forward->source, false);
    keep_unproven(transform, w, forward->source);
    plans->proof = plan_proof(w, forward, transform, err);
    return plans->proof != NULL;
}

static void
trade_rows(struct plan *p, struct plan *with)
{
    struct plan_rows was = p->rows;

    p->rows = with->rows;
    with->rows = was;
}

static void
trade_comparison(struct plan *p, struct plan *with)
{
    struct plan_comparison was = p->rows.compare;

    p->rows.compare = with->rows.compare;
    with->rows.compare = was;
}

bool
rollback_replan(const struct rollback *w, struct plan_table *plans, struct transform *transform,
                struct error *err)
{
    const struct plan *forward = plans->forward;
    struct plan *back = plan_back_rows(w, forward, err), *proof = NULL, *again = NULL;
    bool ok;

    keep_added(transform, forward->source, true);
    keep_unproven(transform, w, forward->source);
    ok = back != NULL && (plans->again == NULL || (again = plan_again_rows(forward, transform, err)) != NULL);
    keep_added(transform, forward->source, false);
    ok = ok && (proof = plan_proof(w, forward, transform, err)) != NULL;
    if (ok) {
        trade_rows(plans->back, back);
        trade_rows(plans->proof, proof);
        if (again != NULL)
            trade_comparison(plans->again, again);
    }
    plan_free(back);
    plan_free(proof);
    plan_free(again);
    return ok;
}
