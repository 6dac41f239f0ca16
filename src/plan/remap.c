/* Replaces the --reverse-map options of a plan set that has cut over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "parse/statement.h"
#include "plan/plan.h"
#include "rows/reverse_map.h"
#include "clone.h"
#include "rollback.h"

/* What the planning of one table needs beside its plans. */
struct remaking {
    struct session *s;
    struct error *err;
    struct plan_table *plans;
    bool compare_stored;
    char *clone_schema;
    struct statement_list statements;
    struct clone_result clone;
    struct rollback rollback;
    struct string_list maps; /* all maps that will be in force, in the form for this table alone */
};

static bool
has_map(const struct string_list *maps, const char *map)
{
    for (int i = 0; i < maps->count; i++)
        if (reverse_map_same_column(maps->items[i], map))
            return true;
    return false;
}

/*
 * The given maps, and those of the present maps that are for other columns: to the tables, and, as typed, to
 * *all.
 */
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

/* The statements must still make of the stored description what they made of the table. */
static bool
check_outcome(const struct table *target, const struct table *after, struct error *err)
{
    bool same = target->column_count == after->column_count;

    for (int i = 0; same && i < target->column_count; i++) {
        const struct column *a = &target->columns[i];
        const struct column *b = table_column(after, a->attnum);

        same = b != NULL && a->generated == b->generated && name_same(a->name, b->name) &&
               name_same(a->type, b->type) && name_same(a->collation, b->collation);
    }
    return same || error_set(err, ERROR_REFUSED,
                             "the statements of the job no longer make the same columns as when it began");
}

static bool
remap_refuse(const struct string_list *reasons, struct error *err)
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

static bool
remap_parse(struct remaking *m)
{
    const char *sql = m->plans->forward->sql;

    m->clone_schema = clone_schema_name(m->s);
    return sql == NULL || statements_parse(sql, m->clone_schema, &m->statements, m->err);
}

/* Runs in the transaction that is rolled back. */
static bool
remap_explore(struct remaking *m, const struct remaking *all, int count)
{
    const struct plan *forward = m->plans->forward;
    struct view_place place = {.s = m->s, .table = forward->source->name, .notes = &m->clone.notes};
    char oid[16];

    place.schema = m->clone_schema;
    for (int i = 0; i < count; i++)
        foreign_keys_dropped(forward->source, m->clone_schema, all[i].plans->forward->source->oid,
                             &all[i].statements, &m->clone.before_all);
    if (!clone_run_apart(m->s, forward->source, m->clone_schema, &m->statements, m->compare_stored, &m->clone,
                         m->err) ||
        !check_outcome(forward->target, m->clone.after, m->err))
        return false;
    snprintf(oid, sizeof(oid), "%u", m->clone.before->oid);
    place.oid = oid;
    return rollback_explore(&m->rollback, &m->maps, forward, &m->clone.transform, &place, m->err) &&
           remap_refuse(&m->rollback.obstacles.reasons, m->err);
}

static void
remaking_free(struct remaking *m)
{
    statements_free(&m->statements);
    clone_result_free(&m->clone);
    rollback_free(&m->rollback);
    list_free(&m->maps);
    free(m->clone_schema);
}

/* First everything that can be refused, then the plans. */
static bool
remake(struct session *s, struct remaking *tables, int count, struct error *err)
{
    bool ok = session_execute(s, err, PLANNING_BEGIN);

    for (int i = 0; ok && i < count; i++)
        ok = remap_parse(&tables[i]);
    for (int i = 0; ok && i < count; i++)
        ok = remap_explore(&tables[i], tables, count);
    session_rollback(s);
    for (int i = 0; ok && i < count; i++)
        ok = rollback_replan(&tables[i].rollback, tables[i].plans, &tables[i].clone.transform, err);
    return ok;
}

bool
plan_set_remap(struct session *s, struct plan_set *set, int count, const char *const *maps, struct error *err)
{
    struct remaking *tables;
    struct string_list all = {0};
    bool ok;

    if (set->rollback == NULL)
        return error_set(err, ERROR_REFUSED, "the job was planned without a rollback window");
    tables = mem_alloc((size_t)set->table_count * sizeof(*tables));
    for (int i = 0; i < set->table_count; i++)
        tables[i] = (struct remaking){
            .s = s, .err = err, .plans = &set->tables[i], .compare_stored = !set->recompute_generated};
    session_set_users_path(s, set->search_path);
    ok = join_maps(tables, set, count, maps, &all, err) && remake(s, tables, set->table_count, err);
    session_set_users_path(s, NULL);
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
