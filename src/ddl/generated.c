#include "ddl/generated.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/list.h"
#include "ddl/names.h"
#include "ddl/rename.h"
#include "sql/sql.h"

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
            char *name = name_quoted(result_text(&r, k, 0));

            ok = session_executef(s, err, "ALTER TABLE %s ALTER COLUMN %s DROP EXPRESSION", clone_sql, name);
            note(released, (int)result_int(&r, k, 1));
            free(name);
        }
        result_free(&r);
    }
    return ok;
}

/* "type COLLATE … GENERATED ALWAYS AS (the source's expression) STORED" */
static void
add_column(const struct table *source, const struct column *c, const char *table, struct string_list *out)
{
    const struct column *old = &source->columns[c->attnum - 1];
    char *name = name_quoted(old->name);

    list_addf(out, "ALTER TABLE %s DROP COLUMN %s", table, name);
    list_addf(out, "ALTER TABLE %s ADD COLUMN %s %s%s%s GENERATED ALWAYS AS (%s) STORED", table, name,
              c->type, c->collation != NULL ? " COLLATE " : "", c->collation != NULL ? c->collation : "",
              old->default_expr);
    free(name);
}

/* Take the expressions from a table that has them, by the names of its columns. */
static bool
take(struct session *s, const char *schema, const char *name, struct table *after,
     const struct released *released, struct error *err)
{
    struct table *made = table_read(s, schema, name, err);

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

bool
generated_restore(struct session *s, const char *schema, const struct table *source, struct table *after,
                  const struct released *released, struct error *err)
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
                add_column(source, c, table, &statements);
        }
        list_add_all(&statements, &back);
        for (int i = 0; ok && i < statements.count; i++)
            ok = session_execute(s, err, statements.items[i]);
        if (!ok && !err->connection_lost && !err->stopped) {
            err->kind = ERROR_REFUSED;
            error_context(err, "a generated column does not fit the new types");
        }
        ok = ok && take(s, schema, "pgrecast_generated", after, released, err) &&
             session_executef(s, err, "DROP TABLE %s", table);
    }
    list_free(&statements);
    list_free(&back);
    free(table);
    free(clone);
    return ok;
}
