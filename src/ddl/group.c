#include "ddl/group.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/mem.h"
#include "ddl/clone.h"
#include "ddl/statement.h"

/* The table that an index, by name as typed, is on; 0 where there is no such index. */
static bool
resolve_index(struct session *s, const struct typed_name *index, oid_t *table, struct error *err)
{
    char *schema = NULL;
    char *name = NULL;
    oid_t oid = 0;
    struct result r = {0};
    char text[16];
    bool ok = true;

    *table = 0;
    if (!table_resolve(s, index->schema, index->name, &schema, &name, &oid, err)) {
        bool missing = err->kind == ERROR_REFUSED;

        if (missing)
            error_clear(err);
        return missing;
    }
    snprintf(text, sizeof(text), "%u", oid);
    ok = session_query(s, &r, err,
                       "SELECT x.indrelid FROM pg_catalog.pg_index x WHERE x.indexrelid = $1::pg_catalog.oid",
                       1, text);
    if (ok && result_rows(&r) == 1)
        *table = (oid_t)result_int(&r, 0, 0);
    else if (ok)
        ok = error_set(err, ERROR_USAGE, "\"%s\" is not an index", index->name);
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

/* *table is 0 where the statement names nothing that exists. */
static bool
resolve_statement(struct session *s, const struct statement *statement, oid_t *table, struct error *err)
{
    bool ok = statement->table.name == NULL || resolve_table(s, &statement->table, table, err);

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

/* Those at the begin that name nothing that exists go with the first that does. */
static bool
group_statements(struct session *s, const struct statement_list *list, struct table_groups *groups,
                 struct error *err)
{
    oid_t *oids = mem_alloc(((size_t)list->count + 1) * sizeof(*oids));
    oid_t last = 0;
    bool ok = true;

    for (int i = 0; ok && i < list->count; i++)
        ok = resolve_statement(s, &list->items[i], &oids[i], err);
    for (int i = 0; ok && last == 0 && i < list->count; i++)
        last = oids[i];
    if (ok && last == 0)
        ok = error_set(err, ERROR_REFUSED, "there is no such index: nothing says which table is meant");
    for (int i = 0; ok && i < list->count; i++) {
        last = oids[i] != 0 ? oids[i] : last;
        add_text(group_of(groups, last), list->items[i].text);
    }
    free(oids);
    return ok;
}

static bool
read_names(struct session *s, struct table_group *group, struct error *err)
{
    struct result r = {0};
    char text[16];
    bool ok;

    snprintf(text, sizeof(text), "%u", group->oid);
    ok = session_row(s, &r, err,
                     "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
                     "ON n.oid = c.relnamespace WHERE c.oid = $1::pg_catalog.oid",
                     1, text);
    if (ok) {
        group->schema = mem_strdup(result_text(&r, 0, 0));
        group->name = mem_strdup(result_text(&r, 0, 1));
    }
    result_free(&r);
    return ok;
}

static bool
read_statements(struct session *s, const char *sql, struct table_groups *groups, struct error *err)
{
    struct statement_list list = {0};
    char *schema = clone_schema_name(s);
    bool ok = statements_parse(sql, schema, &list, err) && group_statements(s, &list, groups, err);

    if (ok && groups->count == 1) { /* all as it was typed */
        free(groups->items[0].sql);
        groups->items[0].sql = mem_strdup(sql);
    }
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
        ok = read_names(s, &groups->items[i], err);
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
    *groups = (struct table_groups){0};
}
