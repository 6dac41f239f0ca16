#include "ddl/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "ddl/clone.h"
#include "ddl/dependents.h"
#include "ddl/group.h"
#include "ddl/key.h"
#include "core/list.h"
#include "ddl/names.h"
#include "ddl/notes.h"
#include "ddl/refuse.h"
#include "ddl/rows.h"
#include "ddl/shadow.h"
#include "ddl/statement.h"
#include "ddl/swaps.h"
#include "ddl/target.h"
#include "ddl/way_back.h"
#include "sql/sql.h"

/* What the making of the plans of one table needs beside them. */
struct making {
    struct session *s;
    struct error *err;
    const struct plan_options *options;
    const struct table_group *group;
    struct plan_table *plans;
    struct statement_list statements;
    char *clone_schema;
    struct clone_result clone;
    struct exchange exchange;
    struct way_back way_back;
    struct string_list relations; /* names taken in the table's schema */
    struct string_list statistics;
    struct string_list reverse_maps; /* for the table's columns */
    struct string_list reasons;
    struct string_list hints;
};

/* Those that exist, and those that the plans of the tables before it will make in the same schema. */
static bool
read_names(struct making *m, const struct making *others, const struct plan *p)
{
    struct result r = {0};

    if (!session_query(m->s, &r, m->err, sql_plan_names, 1, p->source->schema))
        return false;
    for (int i = 0; i < result_rows(&r); i++)
        list_add(result_text(&r, i, 0)[0] == 'r' ? &m->relations : &m->statistics,
                 mem_strdup(result_text(&r, i, 1)));
    for (const struct making *other = others; other < m; other++) {
        if (strcmp(other->group->schema, m->group->schema) != 0)
            continue;
        list_add_all(&m->relations, &other->relations);
        list_add_all(&m->statistics, &other->statistics);
    }
    result_free(&r);
    return true;
}

static void
name_tables(struct plan *p)
{
    p->source_sql = name_qualified(p->source->schema, p->source->name);
    p->shadow_name = name_with_suffix(p->source->name, "_pgrecast_new");
    p->old_name = name_with_suffix(p->source->name, "_pgrecast_old");
    p->shadow_sql = name_qualified(p->source->schema, p->shadow_name);
    p->old_sql = name_qualified(p->source->schema, p->old_name);
}

static void
take_verdicts(struct making *m, struct plan *p)
{
    p->clauses = m->clone.verdicts;
    p->notes = m->clone.notes;
    p->needs_rewrite = m->clone.rewrites;
    m->clone.verdicts = (struct string_list){0};
    m->clone.notes = (struct string_list){0};
}

/* All that needs the server; it is left as it was by the rollback in any case. */
static bool
explore(struct making *m, const struct making *others, struct plan *p)
{
    p->source = table_read(m->s, m->group->schema, m->group->name, m->err);
    if (p->source == NULL || !read_names(m, others, p))
        return false;
    name_tables(p);
    refuse_source(p->source, m->options, &m->reasons, &m->hints);
    if (m->reasons.count == 0)
        refuse_dependents(p->source, m->options, &m->reasons, &m->hints);
    refuse_names(p, &m->relations, &m->reasons, &m->hints);
    if (!refuse_if(p->source, &m->reasons, &m->hints, m->err))
        return false;
    list_add(&m->relations, mem_strdup(p->shadow_name));
    list_add(&m->relations, mem_strdup(p->old_name));
    if (!clone_run(m->s, p->source, m->clone_schema, &m->statements, &m->clone, m->err))
        return false;
    return notes_add(m->s, p, &m->clone, m->err);
}

/* From what was read to what is done: no I/O. */
static bool
decide(struct making *m, struct plan *p)
{
    if (!target_settle(p->source, m->clone_schema, &m->clone, m->err))
        return false;
    p->target = m->clone.after;
    m->clone.after = NULL;
    refuse_target(p, &m->reasons);
    if (!refuse_if(p->source, &m->reasons, &m->hints, m->err))
        return false;
    if (!rows_plan_columns(p, &m->clone.transform, m->err) || !key_plan(p, &m->clone.transform, m->err))
        return false;
    rows_plan_insert(p, &m->clone.transform);
    rows_plan_compare(p, &m->clone.transform, ROWS_APPLIED);
    shadow_plan(p, &m->clone, &m->relations, &m->statistics, &m->exchange);
    take_verdicts(m, p);
    return true;
}

static void
making_free(struct making *m)
{
    statements_free(&m->statements);
    clone_result_free(&m->clone);
    exchange_free(&m->exchange);
    way_back_free(&m->way_back);
    list_free(&m->relations);
    list_free(&m->statistics);
    list_free(&m->reverse_maps);
    list_free(&m->reasons);
    list_free(&m->hints);
    free(m->clone_schema);
}

const char *
plan_set_why_not_again(const struct plan_set *set)
{
    for (int i = 0; i < set->table_count; i++)
        if (set->tables[i].why_not_again != NULL)
            return set->tables[i].why_not_again;
    return NULL;
}

/* What one table cannot do again, none does. */
static void
settle_again(struct plan_set *set)
{
    char *reason = NULL;

    for (int i = 0; i < set->table_count && reason == NULL; i++) {
        const struct plan_table *t = &set->tables[i];

        if (t->why_not_again != NULL)
            reason = set->table_count > 1
                         ? mem_printf("of table %s, %s", t->forward->source_sql, t->why_not_again)
                         : mem_strdup(t->why_not_again);
    }
    for (int i = 0; i < set->table_count && reason != NULL; i++) {
        plan_free(set->tables[i].again);
        set->tables[i].again = NULL;
        free(set->tables[i].why_not_again);
        set->tables[i].why_not_again = mem_strdup(reason);
    }
    free(reason);
}

/* Two statements on two tables may ask for the same name, which only one can have. */
static bool
check_names(const struct making *makings, int count, struct error *err)
{
    for (int i = 0; i < count; i++)
        for (int k = 0; k < makings[i].plans->forward->target->index_count; k++) {
            const char *name = makings[i].plans->forward->target->indexes[k].name;

            for (int j = i + 1; j < count; j++) {
                const struct table *other = makings[j].plans->forward->target;

                for (int n = 0; n < other->index_count; n++)
                    if (strcmp(other->schema, makings[i].group->schema) == 0 &&
                        strcmp(other->indexes[n].name, name) == 0)
                        return error_set(err, ERROR_REFUSED,
                                         "an index of %s and one of %s would both be called \"%s\"",
                                         makings[i].plans->forward->source_sql,
                                         makings[j].plans->forward->source_sql, name);
            }
        }
    return true;
}

/* A table's statements, under the name of its own clone. */
static bool
plan_forward(struct making *m, const struct making *others)
{
    struct plan *p = m->plans->forward = mem_alloc(sizeof(*p));

    p->sql = mem_strdup(m->group->sql);
    m->clone_schema = clone_schema_name(m->s);
    return (p->sql == NULL || statements_parse(p->sql, m->clone_schema, &m->statements, m->err)) &&
           explore(m, others, p) && decide(m, p);
}

static bool
plan_way_back(struct making *m)
{
    struct plan *p = m->plans->forward;
    struct plan_options options = {
        .sql = p->sql,
        .way_back = true,
        .reverse_map_count = m->reverse_maps.count,
        .reverse_maps = (const char *const *)m->reverse_maps.items,
    };
    struct view_place place = {
        .s = m->s, .schema = m->clone_schema, .table = p->source->name, .notes = &p->notes};
    char oid[16];

    snprintf(oid, sizeof(oid), "%u", m->clone.before->oid);
    place.oid = oid;
    return way_back_explore(&m->way_back, &options, p, &m->clone.transform, &place, m->err) &&
           way_back_refuse(&m->way_back, p, m->err) &&
           way_back_plan(&m->way_back, m->plans, &m->clone.transform, &m->exchange, m->err);
}

/* Each map to the table whose column it is for. */
static bool
deal_maps(struct making *makings, const struct plan_options *options, struct plan_set *set, struct error *err)
{
    for (int i = 0; i < options->reverse_map_count; i++) {
        char *map = NULL;
        int table = reverse_map_table(set, options->reverse_maps[i], &map, err);

        if (table < 0)
            return false;
        list_add(&makings[table].reverse_maps, map);
        list_add(&set->reverse_maps, mem_strdup(options->reverse_maps[i]));
    }
    return true;
}

static bool
changes_type(const struct plan *p, const char *columns)
{
    for (int i = 0; i < p->target->column_count; i++) {
        const struct column *c = &p->target->columns[i];
        char *quoted = name_quoted(c->name);
        bool named = strcmp(columns, c->name) == 0 || strcmp(columns, quoted) == 0;

        free(quoted);
        if (named)
            return c->attnum <= p->source->column_count &&
                   strcmp(c->type, p->source->columns[c->attnum - 1].type) != 0;
    }
    return false;
}

/* An id that outgrows the columns which refer to it. */
static void
note_references(const struct plan_set *set, struct plan *p)
{
    for (int i = 0; i < p->target->foreign_key_count; i++) {
        const struct foreign_key *f = &p->target->foreign_keys[i];
        bool other = f->ref_oid == p->source->oid && f->on_oid != p->source->oid;

        for (int k = 0; k < set->table_count; k++)
            other = other && set->tables[k].forward->source->oid != f->on_oid;
        if (other && changes_type(p, f->ref_columns))
            list_addf(&p->notes,
                      "%s (%s) refers to %s, whose type changes, and keeps its own type: a new value may not "
                      "fit there (its table can be changed in the same job)",
                      f->on_name, f->columns, f->ref_columns);
    }
}

/* What hangs on the tables, on their clones as they are now. */
static bool
plan_dependents(struct making *makings, struct plan_set *set, struct dependents_plan *dependents,
                struct error *err)
{
    struct dependents_table *tables = mem_alloc((size_t)set->table_count * sizeof(*tables));
    struct making *first = &makings[set->first];
    bool ok;

    for (int i = 0; i < set->table_count; i++)
        tables[i] = (struct dependents_table){.source = set->tables[i].forward->source,
                                              .target = set->tables[i].forward->target,
                                              .clone_schema = makings[i].clone_schema};
    for (int i = 0; i < set->table_count; i++)
        note_references(set, set->tables[i].forward);
    ok = dependents_plan_make(dependents, first->s, tables, set->table_count, &first->reasons, err) &&
         refuse_if(first->plans->forward->source, &first->reasons, &first->hints, err);
    free(tables);
    return ok;
}

/* In the transaction that has all the clones. First all tables one way, then all of them back. */
static bool
plan_tables(struct making *makings, const struct plan_options *options, struct plan_set *set,
            struct dependents_plan *dependents, struct error *err)
{
    bool ok = true;

    for (int i = 0; ok && i < set->table_count; i++)
        ok = plan_forward(&makings[i], makings);
    if (!ok || !check_names(makings, set->table_count, err) ||
        !plan_dependents(makings, set, dependents, err))
        return false;
    if (!options->way_back)
        return true;
    ok = deal_maps(makings, options, set, err);
    for (int i = 0; ok && i < set->table_count; i++)
        ok = plan_way_back(&makings[i]);
    settle_again(set);
    return ok;
}

static int
by_oid(const void *a, const void *b)
{
    const struct table_group *x = a, *y = b;

    return x->oid < y->oid ? -1 : x->oid > y->oid;
}

static bool
plan_groups(struct session *s, const struct plan_options *options, struct table_groups *groups,
            struct plan_set *set, struct error *err)
{
    struct making *makings = mem_alloc((size_t)groups->count * sizeof(*makings));
    struct dependents_plan dependents = {0};
    oid_t first = groups->items[0].oid;
    bool ok;

    set->table_count = groups->count;
    set->tables = mem_alloc((size_t)groups->count * sizeof(*set->tables));
    qsort(groups->items, (size_t)groups->count, sizeof(*groups->items), by_oid);
    for (int i = 0; i < groups->count; i++) {
        makings[i] = (struct making){
            .s = s, .err = err, .options = options, .group = &groups->items[i], .plans = &set->tables[i]};
        set->first = groups->items[i].oid == first ? i : set->first;
    }
    ok = plan_tables(makings, options, set, &dependents, err);
    if (ok)
        swaps_plan(set, &dependents);
    dependents_plan_free(&dependents);
    for (int i = 0; i < groups->count; i++)
        making_free(&makings[i]);
    free(makings);
    return ok;
}

/* What does not parse needs no transaction. */
static bool
check_options(const struct plan_options *options, struct error *err)
{
    struct statement_list list = {0};
    struct typed_name name = {0};
    bool ok;

    if (!options->way_back && options->reverse_map_count > 0)
        return error_set(err, ERROR_USAGE, "a --reverse-map is of no use without a way back");
    ok = options->sql != NULL ? statements_parse(options->sql, "pgrecast", &list, err)
                              : typed_name_parse(options->rebuild_table, &name, err);
    statements_free(&list);
    typed_name_free(&name);
    return ok;
}

struct plan_set *
plan_set_make(struct session *s, const struct plan_options *options, struct error *err)
{
    struct table_groups groups = {0};
    struct plan_set *set;
    bool ok;

    if (!check_options(options, err) ||
        !session_execute(
            s, err, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout TO '10s'"))
        return NULL;
    set = mem_alloc(sizeof(*set));
    ok = groups_read(s, options, &groups, err) && plan_groups(s, options, &groups, set, err);
    if (!ok && strcmp(err->sqlstate, "55P03") == 0) {
        err->kind = ERROR_REFUSED;
        error_hint(err, "Somebody holds a lock on the table or its sequences: try again later.");
    }
    session_rollback(s);
    groups_free(&groups);
    if (!ok) {
        plan_set_free(set);
        set = NULL;
    }
    return set;
}
