#include "objects/generated.h"

#include <stdlib.h>
#include <string.h>

#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "sql/sql.h"
#include "proof.h"
#include "rename.h"

#define TYPE_PASS 1 /* clause.pass of a change of type */

static void
note(struct released *released, int attnum)
{
    if (released == NULL)
        return;
    released->attnums = mem_array(released->attnums, (size_t)released->count + 1, sizeof(*released->attnums));
    released->attnums[released->count++] = attnum;
}

bool
generated_release(struct session *s, const char *clone_sql, const char *oid,
                  const struct statement *statement, struct released *released, struct error *err)
{
    bool ok = true;

    for (int i = 0; ok && i < statement->clause_count; i++) {
        const struct clause *clause = &statement->clauses[i];
        struct result r = {0};

        if (clause->pass != TYPE_PASS || clause->column == NULL)
            continue;
        ok = session_query(s, &r, err, sql_plan_generated, 2, oid, clause->column);
        for (int k = 0; ok && k < result_rows(&r); k++) {
            char *name = name_quoted(row_text(&r, k, "attname"));

            ok = session_executef(s, err, "ALTER TABLE %s ALTER COLUMN %s DROP EXPRESSION", clone_sql, name);
            note(released, (int)row_int(&r, k, "attnum"));
            free(name);
        }
        result_free(&r);
    }
    return ok;
}

/* "type COLLATE … GENERATED ALWAYS AS (the source's expression) STORED" */
static void
generated_add_column(const struct table *source, const struct column *c, const char *table,
                     struct string_list *out)
{
    const struct column *old = &source->columns[c->attnum - 1];
    char *name = name_quoted(old->name);

    list_addf(out, "ALTER TABLE %s DROP COLUMN %s", table, name);
    if (source->search_path != NULL)
        list_addf(out, "SET LOCAL search_path TO %s", source->search_path);
    list_addf(out, "ALTER TABLE %s ADD COLUMN %s %s%s%s GENERATED ALWAYS AS (%s) STORED", table, name,
              c->type, c->collation != NULL ? " COLLATE " : "", c->collation != NULL ? c->collation : "",
              old->default_expr);
    if (source->search_path != NULL)
        list_addf(out, "SET LOCAL search_path TO ''");
    free(name);
}

/* Copy the expressions from a table that has them, by the names of its columns. */
static bool
generated_take(struct session *s, const char *schema, const char *name, struct table *after,
               const struct released *released, struct error *err)
{
    struct table *made = table_read(s, schema, name, err);

    if (made != NULL && after->search_path == NULL && made->search_path != NULL)
        after->search_path = mem_strdup(made->search_path);
    for (int i = 0; made != NULL && i < released->count; i++) {
        const struct column *known = table_column(after, released->attnums[i]);
        struct column *c = known == NULL ? NULL : &after->columns[known - after->columns];
        const struct column *from = c == NULL ? NULL : table_column_named(made, c->name);

        if (from == NULL)
            continue;
        free(c->default_expr);
        free(c->generated_from);
        c->default_expr = mem_strdup(from->default_expr);
        c->generated = 's';
        c->generated_from_count = 0;
        c->generated_from = mem_alloc(((size_t)from->generated_from_count + 1) * sizeof(*c->generated_from));
        for (int k = 0; k < from->generated_from_count; k++) {
            const struct column *read = table_column(made, from->generated_from[k]);
            const struct column *own = read == NULL ? NULL : table_column_named(after, read->name);

            if (own != NULL)
                c->generated_from[c->generated_from_count++] = own->attnum;
        }
    }
    table_free(made);
    return made != NULL;
}

/* What the expressions use over the new types, compared with what they used before. */
static bool
generated_prove(struct session *s, const char *schema, const struct table *source, const struct table *after,
                const struct released *released, struct table_uses *uses, struct error *err)
{
    struct table *made = table_read(s, schema, "pgrecast_generated", err);
    struct table_uses wanted = {0};
    struct string_list types = {0};
    int first = uses->count;
    bool ok = made != NULL && table_uses_read(s, source, &wanted, err) && table_uses_read(s, made, uses, err);

    proof_add_types(source, after, &types);
    for (int i = 0; ok && i < released->count; i++) {
        const struct column *c = table_column(after, released->attnums[i]);
        const char *old =
            c != NULL && c->attnum <= source->column_count ? source->columns[c->attnum - 1].name : NULL;
        const struct named_uses *was = old == NULL ? NULL : table_uses_find(&wanted, "default value", old);
        char *difference = NULL;

        for (int k = first; was != NULL && k < uses->count; k++)
            if (strcmp(uses->items[k].name, c->name) == 0)
                difference = uses_difference(&was->uses, &uses->items[k].uses, &types);
        if (difference != NULL)
            ok = error_set(err, ERROR_REFUSED, "column \"%s\" would not mean the same in the new table: %s",
                           old, difference);
        free(difference);
    }
    table_uses_free(&wanted);
    list_free(&types);
    table_free(made);
    return ok;
}

bool
generated_restore(struct session *s, const char *schema, const struct table *source, struct table *after,
                  const struct released *released, struct table_uses *uses, struct error *err)
{
    char *clone = name_qualified(schema, after->name), *table = name_qualified(schema, "pgrecast_generated");
    struct string_list statements = {0}, back = {0};
    bool ok = true;

    if (released->count > 0) {
        list_addf(&statements, "CREATE TABLE %s (LIKE %s)", table, clone);
        renames_plan(source, after, table, &statements, &back);
        for (int i = 0; i < released->count; i++) {
            const struct column *c = table_column(after, released->attnums[i]);

            if (c != NULL && c->attnum <= source->column_count)
                generated_add_column(source, c, table, &statements);
        }
        list_add_all(&statements, &back);
        for (int i = 0; ok && i < statements.count; i++)
            ok = session_execute(s, err, statements.items[i]);
        if (!ok && !err->connection_lost && !err->stopped) {
            err->kind = ERROR_REFUSED;
            error_context(err, "a generated column does not fit the new types");
        }
        ok = ok && generated_take(s, schema, "pgrecast_generated", after, released, err) &&
             generated_prove(s, schema, source, after, released, uses, err) &&
             session_executef(s, err, "DROP TABLE %s", table);
    }
    list_free(&statements);
    list_free(&back);
    free(table);
    free(clone);
    return ok;
}
