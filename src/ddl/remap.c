/* Other maps for a plan set that has cut over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "ddl/clone.h"
#include "core/list.h"
#include "ddl/plan.h"
#include "ddl/reverse_map.h"
#include "ddl/statement.h"
#include "ddl/way_back.h"

/* What the planning of one table needs beside its plans. */
struct remaking {
    struct session *s;
    struct error *err;
    struct plan_table *plans;
    char *clone_schema;
    struct statement_list statements;
    struct clone_result clone;
    struct way_back way_back;
    struct string_list maps; /* all that will be in force, as for this table alone */
};

static bool
has_map(const struct string_list *maps, const char *map)
{
    for (int i = 0; i < maps->count; i++)
        if (reverse_map_same_column(maps->items[i], map))
            return true;
    return false;
}

/* Those given, and of those there are the ones for other columns: to the tables, and, as typed, to *all. */
static bool
join_maps(struct remaking *tables, const struct plan_set *set, int count, const char *const *maps,
          struct string_list *all, struct error *err)
{
    for (int i = 0; i < count + set->reverse_maps.count; i++) {
        const char *typed = i < count ? maps[i] : set->reverse_maps.items[i - count];
        char *map = NULL;
        int table = reverse_map_table(set, typed, &map, err);

        if (table < 0)
            return false;
        if (i < count || !has_map(&tables[table].maps, map)) {
            list_add(all, mem_strdup(typed));
            list_add(&tables[table].maps, map);
        } else {
            free(map);
        }
    }
    return true;
}

static bool
same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* The statements must still make of the stored description what they made of the table. */
static bool
check_outcome(const struct table *target, const struct table *after, struct error *err)
{
    bool same = target->column_count == after->column_count;

    for (int i = 0; same && i < target->column_count; i++) {
        const struct column *a = &target->columns[i];
        const struct column *b = &after->columns[i];

        same = a->attnum == b->attnum && a->generated == b->generated && same_text(a->name, b->name) &&
               same_text(a->type, b->type) && same_text(a->collation, b->collation);
    }
    return same || error_set(err, ERROR_REFUSED,
                             "the statements of the job no longer make the same columns as when it began");
}

static bool
refuse(const struct string_list *reasons, struct error *err)
{
    struct buffer detail = {0};

    if (reasons->count == 0)
        return true;
    for (int i = 0; i < reasons->count; i++)
        buffer_printf(&detail, "%s%s", i > 0 ? "\n" : "", reasons->items[i]);
    error_set(err, ERROR_REFUSED, "values cannot go back as --reverse-map says");
    error_detail(err, "%s", detail.data);
    buffer_free(&detail);
    return false;
}

/* In the transaction that is rolled back. */
static bool
explore(struct remaking *m)
{
    const struct plan *forward = m->plans->forward;
    struct plan_options options = {
        .sql = forward->sql,
        .way_back = true,
        .reverse_map_count = m->maps.count,
        .reverse_maps = (const char *const *)m->maps.items,
    };
    struct view_place place = {.s = m->s, .table = forward->source->name, .notes = &m->clone.notes};
    char oid[16];

    m->clone_schema = clone_schema_name(m->s);
    place.schema = m->clone_schema;
    if ((forward->sql != NULL && !statements_parse(forward->sql, m->clone_schema, &m->statements, m->err)) ||
        !clone_run_apart(m->s, forward->source, m->clone_schema, &m->statements, &m->clone, m->err) ||
        !check_outcome(forward->target, m->clone.after, m->err))
        return false;
    snprintf(oid, sizeof(oid), "%u", m->clone.before->oid);
    place.oid = oid;
    return way_back_explore(&m->way_back, &options, forward, &m->clone.transform, &place, m->err) &&
           refuse(&m->way_back.obstacles.reasons, m->err);
}

static void
remaking_free(struct remaking *m)
{
    statements_free(&m->statements);
    clone_result_free(&m->clone);
    way_back_free(&m->way_back);
    list_free(&m->maps);
    free(m->clone_schema);
}

/* First all that may be refused, then the plans. */
static bool
remake(struct session *s, struct remaking *tables, int count, struct error *err)
{
    bool ok = session_execute(
        s, err, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout TO '10s'");

    for (int i = 0; ok && i < count; i++)
        ok = explore(&tables[i]);
    session_rollback(s);
    for (int i = 0; ok && i < count; i++)
        ok = way_back_replan(&tables[i].way_back, tables[i].plans, &tables[i].clone.transform, err);
    return ok;
}

bool
plan_set_remap(struct session *s, struct plan_set *set, int count, const char *const *maps, struct error *err)
{
    struct remaking *tables;
    struct string_list all = {0};
    bool ok;

    if (set->rollback == NULL)
        return error_set(err, ERROR_REFUSED, "the job was planned without a way back");
    tables = mem_alloc((size_t)set->table_count * sizeof(*tables));
    for (int i = 0; i < set->table_count; i++)
        tables[i] = (struct remaking){.s = s, .err = err, .plans = &set->tables[i]};
    ok = join_maps(tables, set, count, maps, &all, err) && remake(s, tables, set->table_count, err);
    if (ok) {
        list_free(&set->reverse_maps);
        set->reverse_maps = all;
        all = (struct string_list){0};
    }
    for (int i = 0; i < set->table_count; i++)
        remaking_free(&tables[i]);
    free(tables);
    list_free(&all);
    return ok;
}
