#include "table_ddl.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/name.h"
#include "parse/partition_by.h"

static void
add_identity(struct buffer *out, const struct column *c)
{
    buffer_printf(out, " GENERATED %s AS IDENTITY", c->identity == 'a' ? "ALWAYS" : "BY DEFAULT");
    if (c->sequence != NULL)
        buffer_printf(out, " (%s)", c->sequence->options);
}

static void
add_not_null(const struct table_ddl *d, struct buffer *out, const struct column *c)
{
    char *usual = mem_printf("%s_%s_not_null", d->table->name, c->name);

    if (c->not_null_invalid || c->not_null_no_inherit)
        list_addf(d->reasons, "the NOT NULL of column \"%s\" is NOT VALID or NO INHERIT", c->name);
    if (c->not_null_name != NULL && strcmp(c->not_null_name, usual) != 0) {
        buffer_add_text(out, " CONSTRAINT ");
        buffer_add_identifier(out, c->not_null_name);
    }
    buffer_add_text(out, " NOT NULL");
    free(usual);
}

static void
add_column(const struct table_ddl *d, struct buffer *out, const struct column *c)
{
    buffer_add_identifier(out, c->name);
    buffer_printf(out, " %s", c->type);
    if (c->compression != '\0')
        buffer_printf(out, " COMPRESSION %s", c->compression == 'l' ? "lz4" : "pglz");
    if (c->collation != NULL)
        buffer_printf(out, " COLLATE %s", c->collation);
    if (c->generated == 'v')
        list_addf(d->reasons, "column \"%s\" is a virtual generated column", c->name);
    if (c->generated != '\0')
        buffer_printf(out, " GENERATED ALWAYS AS (%s) STORED", c->default_expr);
    else if (c->identity != '\0')
        add_identity(out, c);
    else if (c->default_expr != NULL)
        buffer_printf(out, " DEFAULT %s", c->default_expr);
    if (c->not_null)
        add_not_null(d, out, c);
}

static bool
has_column(const struct table_ddl *d, const struct index *x)
{
    const struct column *c = table_column_named(d->table, d->column);

    for (int i = 0; i < x->key_count; i++)
        if (x->key_attnums[i] == c->attnum)
            return true;
    return false;
}

/* The definition of a unique key, with the column. The caller frees it. */
static char *
key_definition(const struct table_ddl *d, const struct index *x, const char *what, const char *definition)
{
    char *column, *extended;

    if (has_column(d, x))
        return mem_strdup(definition);
    column = name_quoted(d->column);
    extended = definition_with_column(definition, column);
    free(column);
    if (extended == NULL)
        extended = mem_strdup(definition);
    if (x->statistics_count > 0)
        list_addf(d->reasons, "index \"%s\" has statistics targets, which an extended one would lose",
                  x->name);
    if (d->extend_key)
        list_addf(d->notes,
                  "%s \"%s\" becomes %s. The server then accepts the same values of its present columns in "
                  "several rows, with different values of \"%s\".",
                  what, x->name, extended, d->column);
    else
        list_addf(
            d->reasons,
            "%s \"%s\", %s, lacks column \"%s\", by which the table is divided. --extend-key would make it "
            "%s; the server would then accept the same values of its present columns in several rows, with "
            "different values of \"%s\"",
            what, x->name, definition, d->column, extended, d->column);
    return extended;
}

static const struct index *
index_of(const struct table *t, const struct constraint *c)
{
    for (int i = 0; i < t->index_count; i++)
        if (t->indexes[i].oid == c->index_oid)
            return &t->indexes[i];
    return NULL;
}

static char *
constraint_definition(const struct table_ddl *d, const struct constraint *c)
{
    const struct index *x = index_of(d->table, c);

    if (c->temporal || c->type == 'x')
        list_addf(d->reasons,
                  "constraint \"%s\" excludes rows that overlap: --partition-by does not divide it", c->name);
    if (c->temporal || x == NULL || (c->type != 'p' && c->type != 'u'))
        return mem_strdup(c->definition);
    return key_definition(d, x, c->type == 'p' ? "primary key" : "unique constraint", c->definition);
}

/* A key that is extended is another object, so its comment is given to it again. */
static void
add_comment(const struct table_ddl *d, struct buffer *out, const struct index *x, const struct constraint *c)
{
    char *table, *name;
    const char *comment;

    if (x == NULL) /* a constraint without an index is not extended */
        return;
    comment = c != NULL ? c->comment : x->comment;
    table = name_qualified(d->table->schema, d->table->name);
    name = c != NULL ? name_quoted(c->name) : name_qualified(d->table->schema, x->name);
    if (comment != NULL && x->unique && !has_column(d, x)) {
        buffer_printf(out, "COMMENT ON %s %s%s%s IS ", c != NULL ? "CONSTRAINT" : "INDEX", name,
                      c != NULL ? " ON " : "", c != NULL ? table : "");
        buffer_add_literal(out, comment);
        buffer_add_text(out, ";\n");
    }
    free(name);
    free(table);
}

void
table_ddl_create(const struct table_ddl *d, struct buffer *out)
{
    const struct table *t = d->table;
    const char *separator = "\n    ";
    char *name = name_qualified(t->schema, t->name);

    buffer_printf(out, "CREATE TABLE %s (", name);
    for (int i = 0; i < t->column_count; i++, separator = ",\n    ") {
        buffer_add_text(out, separator);
        add_column(d, out, &t->columns[i]);
    }
    for (int i = 0; i < t->constraint_count; i++) {
        const struct constraint *c = &t->constraints[i];
        char *definition = constraint_definition(d, c);

        if (c->validated) {
            buffer_printf(out, "%sCONSTRAINT ", separator);
            buffer_add_identifier(out, c->name);
            buffer_printf(out, " %s", definition);
            separator = ",\n    ";
        }
        free(definition);
    }
    buffer_printf(out, "\n) PARTITION BY %s;\n", d->partition_by);
    free(name);
}

void
table_ddl_parts(const struct table_ddl *d, struct buffer *out)
{
    const struct table *t = d->table;
    char *name = name_qualified(t->schema, t->name);

    for (int i = 0; i < t->index_count; i++) {
        const struct index *x = &t->indexes[i];
        char *definition;

        if (x->constraint_oid != 0)
            continue;
        definition =
            x->unique ? key_definition(d, x, "unique index", x->definition) : mem_strdup(x->definition);
        buffer_printf(out, "CREATE %sINDEX ", x->unique ? "UNIQUE " : "");
        buffer_add_identifier(out, x->name);
        buffer_printf(out, " ON %s %s;\n", name, definition);
        add_comment(d, out, x, NULL);
        free(definition);
    }
    for (int i = 0; i < t->constraint_count; i++) {
        const struct constraint *c = &t->constraints[i];

        add_comment(d, out, index_of(t, c), c);
        if (c->validated)
            continue;
        buffer_printf(out, "ALTER TABLE %s ADD CONSTRAINT ", name);
        buffer_add_identifier(out, c->name);
        buffer_printf(out, " %s;\n", c->definition);
    }
    free(name);
}
