/* Other maps for a plan set that has cut over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "ddl/clone.h"
#include "ddl/list.h"
#include "ddl/plan.h"
#include "ddl/reverse_map.h"
#include "ddl/statement.h"
#include "ddl/way_back.h"

/* What the planning needs beside the set. */
struct remaking {
    struct session *s;
    struct error *err;
    char *clone_schema;
    struct statement_list statements;
    struct clone_result clone;
    struct way_back way_back;
    struct string_list maps; /* all that will be in force */
};

/* Those given, and of those there are the ones for other columns. */
static void
join_maps(struct string_list *all, const struct plan_set *set, int count, const char *const *maps)
{
    for (int i = 0; i < count; i++)
        list_add(all, mem_strdup(maps[i]));
    for (int i = 0; i < set->reverse_maps.count; i++) {
        bool replaced = false;

        for (int k = 0; k < count && !replaced; k++)
            replaced = reverse_map_same_column(maps[k], set->reverse_maps.items[i]);
        if (!replaced)
            list_add(all, mem_strdup(set->reverse_maps.items[i]));
    }
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
explore(struct remaking *m, const struct plan *forward)
{
    struct plan_options options = {
        .sql = forward->sql,
        .way_back = true,
        .reverse_map_count = m->maps.count,
        .reverse_maps = (const char *const *)m->maps.items,
    };
    struct view_place place = {
        .s = m->s, .schema = m->clone_schema, .table = forward->source->name, .notes = &m->clone.notes};
    char oid[16];

    if (!clone_run_apart(m->s, forward->source, m->clone_schema, &m->statements, &m->clone, m->err) ||
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

bool
plan_set_remap(struct session *s, struct plan_set *set, int count, const char *const *maps, struct error *err)
{
    struct remaking m = {.s = s, .err = err, .clone_schema = clone_schema_name(s)};
    const struct plan *forward = set->forward;
    bool ok = set->back != NULL && set->proof != NULL;

    if (!ok)
        error_set(err, ERROR_REFUSED, "the job was planned without a way back");
    join_maps(&m.maps, set, count, maps);
    ok = ok && (forward->sql == NULL || statements_parse(forward->sql, m.clone_schema, &m.statements, err)) &&
         session_execute(
             s, err, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout TO '10s'");
    if (ok) {
        ok = explore(&m, forward);
        session_rollback(s);
    }
    ok = ok && way_back_replan(&m.way_back, set, &m.clone.transform, err);
    if (ok) {
        list_free(&set->reverse_maps);
        set->reverse_maps = m.maps;
        m.maps = (struct string_list){0};
    }
    remaking_free(&m);
    return ok;
}
