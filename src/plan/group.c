#include "group.h"

#include <stdlib.h>

#include "core/log.h"
#include "core/mem.h"
#include "parse/statement.h"
#include "clone.h"

/*
 * The table that has the index, or whose column owns the sequence, that is named as typed; 0 if there is
 * none.
 */
static bool
resolve_index(struct session *s, const struct typed_name *index, oid_t *table, struct error *err)
{
    char *schema = NULL;
    char *name = NULL;
    oid_t oid = 0;
    struct result r = {0};
    struct params p = {0};
    bool ok = true;

    *table = 0;
    if (!table_resolve(s, index->schema, index->name, &schema, &name, &oid, err)) {
        bool missing = err->kind == ERROR_REFUSED;

        if (missing)
            error_clear(err);
        return missing;
    }
    params_uint(&p, oid);
    ok = session_query_with(
        s, &r, err,
        "SELECT x.indrelid FROM pg_catalog.pg_index AS x WHERE x.indexrelid = $1::pg_catalog.oid "
        "UNION ALL SELECT d.refobjid FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_class AS c "
        "ON c.oid = d.objid WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = "
        "$1::pg_catalog.oid AND c.relkind = 'S' AND d.refclassid = "
        "'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')",
        &p);
    if (ok && result_rows(&r) == 1)
        *table = (oid_t)row_uint(&r, 0, "indrelid");
    else if (ok)
        ok = error_set(err, ERROR_USAGE, "\"%s\" is neither an index nor a sequence of a table", index->name);
    result_free(&r);
    free(schema);
    free(name);
    return ok;
}

static bool
resolve_table(struct session *s, const struct typed_name *typed, oid_t *oid, struct error *err)
{
    char *schema = NULL;
    char *name = NULL;
    bool ok = table_resolve(s, typed->schema, typed->name, &schema, &name, oid, err);

    free(schema);
    free(name);
    return ok;
}

/* IF EXISTS: the statement does nothing, as with plain ALTER TABLE. */
static bool
pass_over(const struct statement *statement, bool *skip, struct error *err)
{
    *skip = statement->missing_ok && err->kind == ERROR_REFUSED && !err->connection_lost && !err->stopped;
    if (!*skip)
        return false;
    log_info("%s, so this does nothing: %s", err->message, statement->text);
    error_clear(err);
    return true;
}

/* *table is 0 if the statement names nothing that exists; *skip: and so it does nothing. */
static bool
resolve_statement(struct session *s, const struct statement *statement, oid_t *table, bool *skip,
                  struct error *err)
{
    bool ok = statement->table.name == NULL || resolve_table(s, &statement->table, table, err) ||
              pass_over(statement, skip, err);

    for (int i = 0; ok && i < statement->index_count; i++) {
        oid_t of_index;

        ok = resolve_index(s, &statement->indexes[i], &of_index, err);
        if (ok && of_index != 0 && *table != 0 && of_index != *table) {
            error_set(err, ERROR_USAGE, "\"%s\" is about indexes of two tables", statement->text);
            ok = error_hint(err, "Write a statement for each table.");
        }
        if (ok && of_index != 0)
            *table = of_index;
    }
    return ok;
}

static struct table_group *
group_of(struct table_groups *groups, oid_t oid)
{
    for (int i = 0; i < groups->count; i++)
        if (groups->items[i].oid == oid)
            return &groups->items[i];
    groups->items = mem_array(groups->items, (size_t)groups->count + 1, sizeof(*groups->items));
    groups->items[groups->count] = (struct table_group){.oid = oid};
    return &groups->items[groups->count++];
}

static void
add_text(struct table_group *group, const char *text)
{
    char *before = group->sql;

    group->sql = before != NULL ? mem_printf("%s;\n%s", before, text) : mem_strdup(text);
    free(before);
}

/* None of the statements names anything that exists. */
static bool
group_nothing(const struct statement_list *list, struct error *err)
{
    for (int i = 0; i < list->count; i++)
        if (!list->items[i].missing_ok)
            return error_set(err, ERROR_REFUSED, "there is no such index: nothing says which table is meant");
    return error_nothing(err, "nothing to do: none of what the SQL names exists");
}

/*
 * Statements at the beginning that name nothing that exists belong to the first table that is named. *whole:
 * no statement was left out.
 */
static bool
group_statements(struct session *s, const struct statement_list *list, struct table_groups *groups,
                 bool *whole, struct error *err)
{
    oid_t *oids = mem_alloc(((size_t)list->count + 1) * sizeof(*oids));
    bool *skip = mem_alloc(((size_t)list->count + 1) * sizeof(*skip));
    oid_t last = 0;
    bool ok = true;

    *whole = true;
    for (int i = 0; ok && i < list->count; i++) {
        ok = resolve_statement(s, &list->items[i], &oids[i], &skip[i], err);
        *whole = *whole && !skip[i];
    }
    for (int i = 0; ok && last == 0 && i < list->count; i++)
        last = oids[i];
    if (ok && last == 0)
        ok = group_nothing(list, err);
    for (int i = 0; ok && i < list->count; i++) {
        last = oids[i] != 0 ? oids[i] : last;
        if (!skip[i])
            add_text(group_of(groups, last), list->items[i].text);
    }
    free(skip);
    free(oids);
    return ok;
}

static bool
group_read_names(struct session *s, struct table_group *group, struct error *err)
{
    struct result r = {0};
    struct params p = {0};
    bool ok;

    params_uint(&p, group->oid);
    ok = session_row_with(
        s, &r, err,
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
        "ON n.oid = c.relnamespace WHERE c.oid = $1::pg_catalog.oid",
        &p);
    if (ok) {
        group->schema = row_copy(&r, 0, "nspname");
        group->name = row_copy(&r, 0, "relname");
    }
    result_free(&r);
    return ok;
}

static bool
read_statements(struct session *s, const char *sql, struct table_groups *groups, struct error *err)
{
    struct statement_list list = {0};
    char *schema = clone_schema_name(s);
    bool whole = true;
    bool ok = statements_parse(sql, schema, &list, err);

    if (ok)
        session_set_users_path(s, list.search_path);
    ok = ok && group_statements(s, &list, groups, &whole, err);
    if (ok && whole && list.ignored.count == 0 && list.history.count == 0 && list.search_path == NULL &&
        groups->count == 1) { /* one table: keep the whole text as it was typed */
        free(groups->items[0].sql);
        groups->items[0].sql = mem_strdup(sql);
    }
    list_add_all(&groups->ignored, &list.ignored);
    groups->history = list.history;
    list.history = (struct history_list){0};
    groups->search_path = list.search_path;
    list.search_path = NULL;
    statements_free(&list);
    free(schema);
    return ok;
}

static bool
read_rebuild(struct session *s, const char *table, struct table_groups *groups, struct error *err)
{
    struct typed_name typed = {0};
    oid_t oid = 0;
    bool ok = typed_name_parse(table, &typed, err) && resolve_table(s, &typed, &oid, err);

    if (ok)
        group_of(groups, oid);
    typed_name_free(&typed);
    return ok;
}

bool
groups_read(struct session *s, const struct plan_options *options, struct table_groups *groups,
            struct error *err)
{
    bool ok = options->sql != NULL ? read_statements(s, options->sql, groups, err)
                                   : read_rebuild(s, options->rebuild_table, groups, err);

    for (int i = 0; ok && i < groups->count; i++)
        ok = group_read_names(s, &groups->items[i], err);
    return ok;
}

void
groups_free(struct table_groups *groups)
{
    for (int i = 0; i < groups->count; i++) {
        free(groups->items[i].schema);
        free(groups->items[i].name);
        free(groups->items[i].sql);
    }
    free(groups->items);
    free(groups->search_path);
    list_free(&groups->ignored);
    history_free(&groups->history);
    *groups = (struct table_groups){0};
}
