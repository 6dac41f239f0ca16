#include "ddl/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "ddl/clone.h"
#include "ddl/dependents.h"
#include "ddl/foreign_key.h"
#include "ddl/generate.h"
#include "ddl/grants.h"
#include "ddl/key.h"
#include "ddl/list.h"
#include "ddl/names.h"
#include "ddl/notes.h"
#include "ddl/refuse.h"
#include "ddl/rows.h"
#include "ddl/shadow.h"
#include "ddl/statement.h"
#include "ddl/target.h"
#include "ddl/way_back.h"
#include "sql/sql.h"

/* What the making of one plan needs beside the plan. */
struct making {
    struct session *s;
    struct error *err;
    struct statement_list statements;
    char *clone_schema;
    struct clone_result clone;
    struct exchange exchange;
    struct way_back way_back;
    struct dependents_plan dependents;
    struct string_list relations; /* names taken in the table's schema */
    struct string_list statistics;
    struct string_list reasons;
    struct string_list hints;
};

static bool
parse(struct making *m, const struct plan_options *options, struct typed_name *table)
{
    m->clone_schema = clone_schema_name(m->s);
    if (options->sql == NULL)
        return typed_name_parse(options->rebuild_table, table, m->err);
    return statements_parse(options->sql, m->clone_schema, &m->statements, m->err);
}

/* The table that an index, by name as typed, is on; 0 where there is no such index. */
static bool
resolve_index(struct making *m, const struct typed_name *index, oid_t *table)
{
    char *schema = NULL;
    char *name = NULL;
    oid_t oid = 0;
    struct result r = {0};
    char text[16];
    bool ok = true;

    *table = 0;
    if (!table_resolve(m->s, index->schema, index->name, &schema, &name, &oid, m->err)) {
        bool missing = m->err->kind == ERROR_REFUSED;

        if (missing)
            error_clear(m->err);
        return missing;
    }
    snprintf(text, sizeof(text), "%u", oid);
    ok = session_query(m->s, &r, m->err,
                       "SELECT x.indrelid FROM pg_catalog.pg_index x WHERE x.indexrelid = $1::pg_catalog.oid",
                       1, text);
    if (ok && result_rows(&r) == 1)
        *table = (oid_t)result_int(&r, 0, 0);
    else if (ok)
        ok = error_set(m->err, ERROR_USAGE, "\"%s\" is not an index", index->name);
    result_free(&r);
    free(schema);
    free(name);
    return ok;
}

/* One table for the whole job: the first that is named, and all others must be it. */
static bool
take_table(struct making *m, oid_t oid, oid_t *table, const char *statement)
{
    if (oid == 0 || oid == *table)
        return true;
    if (*table != 0) {
        error_set(m->err, ERROR_USAGE, "\"%s\" is about another table: one table per job", statement);
        return error_hint(m->err, "Run one job for each table.");
    }
    *table = oid;
    return true;
}

static bool
resolve_statement(struct making *m, const struct statement *statement, oid_t *table)
{
    char *schema = NULL;
    char *name = NULL;
    oid_t oid = 0;
    bool ok = true;

    if (statement->table.name != NULL) {
        ok = table_resolve(m->s, statement->table.schema, statement->table.name, &schema, &name, &oid,
                           m->err) &&
             take_table(m, oid, table, statement->text);
        free(schema);
        free(name);
    }
    for (int i = 0; ok && i < statement->index_count; i++)
        ok = resolve_index(m, &statement->indexes[i], &oid) && take_table(m, oid, table, statement->text);
    return ok;
}

static bool
read_source(struct making *m, struct plan *p, struct typed_name *rebuild)
{
    char *schema = NULL;
    char *name = NULL;
    oid_t oid = 0;
    struct result r = {0};
    char text[16];
    bool ok = true;

    if (rebuild->name != NULL)
        ok = table_resolve(m->s, rebuild->schema, rebuild->name, &schema, &name, &oid, m->err);
    for (int i = 0; ok && i < m->statements.count; i++)
        ok = resolve_statement(m, &m->statements.items[i], &oid);
    free(schema);
    free(name);
    if (ok && oid == 0)
        ok = error_set(m->err, ERROR_REFUSED, "there is no such index: nothing says which table is meant");
    if (!ok)
        return false;
    snprintf(text, sizeof(text), "%u", oid);
    ok = session_row(m->s, &r, m->err,
                     "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
                     "ON n.oid = c.relnamespace WHERE c.oid = $1::pg_catalog.oid",
                     1, text);
    if (ok)
        p->source = table_read(m->s, result_text(&r, 0, 0), result_text(&r, 0, 1), m->err);
    result_free(&r);
    return p->source != NULL;
}

static bool
read_names(struct making *m, const struct plan *p)
{
    struct result r = {0};

    if (!session_query(m->s, &r, m->err, sql_plan_names, 1, p->source->schema))
        return false;
    for (int i = 0; i < result_rows(&r); i++)
        list_add(result_text(&r, i, 0)[0] == 'r' ? &m->relations : &m->statistics,
                 mem_strdup(result_text(&r, i, 1)));
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
explore(struct making *m, struct plan *p, struct typed_name *rebuild)
{
    if (!read_source(m, p, rebuild) || !read_names(m, p))
        return false;
    name_tables(p);
    refuse_source(p->source, &m->reasons, &m->hints);
    if (m->reasons.count == 0)
        refuse_dependents(p->source, &m->reasons);
    refuse_names(p, &m->relations, &m->reasons, &m->hints);
    if (!refuse_if(p->source, &m->reasons, &m->hints, m->err))
        return false;
    list_add(&m->relations, mem_strdup(p->shadow_name));
    list_add(&m->relations, mem_strdup(p->old_name));
    if (!clone_run(m->s, p->source, m->clone_schema, &m->statements, &m->clone, m->err))
        return false;
    if (!dependents_plan_make(&m->dependents, m->s, p->source, m->clone.after, m->clone_schema, &m->reasons,
                              m->err))
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
    dependents_plan_free(&m->dependents);
    list_free(&m->relations);
    list_free(&m->statistics);
    list_free(&m->reasons);
    list_free(&m->hints);
    free(m->clone_schema);
}

/* Locks of other tables, each once; what hangs on the table comes before them, as in a query. */
static void
swap_locks(struct plan_swap *swap, const struct dependents_plan *d, const struct table *source)
{
    list_add_all(&swap->locks, &d->locks);
    for (int i = 0; i < source->foreign_key_count; i++) {
        const char *lock = source->foreign_keys[i].lock;

        if (lock != NULL && !list_has(&swap->locks, lock))
            list_add(&swap->locks, mem_strdup(lock));
    }
}

/*
 * All that hangs on p->source is taken away, the tables change places, and it is made again, on what serves
 * from then on. Statements about dependents know the original's column names only.
 */
static struct plan_swap *
swap_of(const struct plan *p, const struct dependents_plan *d, const struct table *original, bool renamed)
{
    struct generate g = {.schema = original->schema, .name = original->name};
    struct plan_swap *swap;

    if (p == NULL)
        return NULL;
    swap = mem_alloc(sizeof(*swap));
    g.table = p->target;
    renamed = renamed && d->attach.count > 0;
    swap_locks(swap, d, original);
    foreign_keys_detach(p->source, &swap->statements);
    list_add_all(&swap->statements, &d->detach);
    list_add_all(&swap->statements, &p->swap);
    grants_lend(&g, &swap->statements);
    if (renamed)
        list_add_all(&swap->statements, &d->names_before);
    list_add_all(&swap->statements, &d->attach);
    if (renamed)
        list_add_all(&swap->statements, &d->names_after);
    foreign_keys_attach(p->target, &swap->statements, &swap->validate);
    grants_take(&g, &swap->statements);
    return swap;
}

static void
plan_swaps(struct plan_set *set, const struct dependents_plan *d)
{
    const struct table *original = set->forward->source;

    set->cutover = swap_of(set->forward, d, original, true);
    set->rollback = swap_of(set->back, d, original, false);
    set->cutover_again = swap_of(set->again, d, original, true);
}

/* What needs the clone, then the plans; the transaction is the caller's to roll back. */
static bool
plan_all(struct making *m, const struct plan_options *options, struct plan_set *set,
         struct typed_name *rebuild)
{
    struct plan *p = set->forward;
    struct view_place place = {.s = m->s, .schema = m->clone_schema, .notes = &p->notes};
    char oid[16];

    if (!explore(m, p, rebuild) || !decide(m, p))
        return false;
    if (!options->way_back)
        return true;
    snprintf(oid, sizeof(oid), "%u", m->clone.before->oid);
    place.oid = oid;
    place.table = p->source->name;
    for (int i = 0; i < options->reverse_map_count; i++)
        list_add(&set->reverse_maps, mem_strdup(options->reverse_maps[i]));
    return way_back_explore(&m->way_back, options, p, &m->clone.transform, &place, m->err) &&
           way_back_refuse(&m->way_back, p, m->err) &&
           way_back_plan(&m->way_back, set, &m->clone.transform, &m->exchange, m->err);
}

struct plan_set *
plan_set_make(struct session *s, const struct plan_options *options, struct error *err)
{
    struct making m = {.s = s, .err = err};
    struct typed_name rebuild = {0};
    struct plan_set *set = mem_alloc(sizeof(*set));
    bool ok = false;

    set->forward = mem_alloc(sizeof(*set->forward));
    set->forward->sql = mem_strdup(options->sql);
    if (!options->way_back && options->reverse_map_count > 0) {
        error_set(err, ERROR_USAGE, "a --reverse-map is of no use without a way back");
        goto out;
    }
    if (!parse(&m, options, &rebuild))
        goto out;
    if (!session_execute(
            s, err, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout TO '10s'"))
        goto out;
    ok = plan_all(&m, options, set, &rebuild);
    if (ok)
        plan_swaps(set, &m.dependents);
    if (!ok && strcmp(err->sqlstate, "55P03") == 0) {
        err->kind = ERROR_REFUSED;
        error_hint(err, "Somebody holds a lock on the table or its sequences: try again later.");
    }
    session_rollback(s);
out:
    typed_name_free(&rebuild);
    making_free(&m);
    if (!ok) {
        plan_set_free(set);
        set = NULL;
    }
    return set;
}
