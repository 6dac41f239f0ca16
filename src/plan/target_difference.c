#include "target_difference.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "core/name.h"
#include "objects/generate.h"

struct difference {
    const struct table *source;
    const struct table *target;
    const char *schema;
    const struct target_maps *maps;
    char *self;
    struct string_list *out;
    struct string_list *reasons;
    struct buffer types; /* clauses of one ALTER TABLE: a map reads the row as it was */
};

static const char *
map_of(const struct difference *d, const char *column)
{
    for (int i = 0; i < d->maps->columns.count; i++)
        if (strcmp(d->maps->columns.items[i], column) == 0)
            return d->maps->expressions.items[i];
    return NULL;
}

/* The text as it is for a table in the schema itself. The caller frees it. */
static char *
settled(const struct difference *d, const struct table *t, const char *text)
{
    char *scratch;
    struct buffer out = {0};
    const char *found;

    if (text == NULL || strcmp(t->schema, d->schema) == 0)
        return text == NULL ? NULL : mem_strdup(text);
    scratch = mem_printf("%s.", t->schema);
    while ((found = strstr(text, scratch)) != NULL) {
        buffer_add(&out, text, (size_t)(found - text));
        buffer_printf(&out, "%s.", d->schema);
        text = found + strlen(scratch);
    }
    buffer_add_text(&out, text);
    free(scratch);
    return buffer_take(&out);
}

static bool
same_default(const struct difference *d, const struct column *a, const struct column *b)
{
    char *x = settled(d, d->source, a->default_expr);
    char *y = settled(d, d->target, b->default_expr);
    bool same = name_same(x, y);

    free(x);
    free(y);
    return same;
}

static void
add_type(struct difference *d, const struct column *to, const char *map)
{
    char *name = name_quoted(to->name);

    buffer_printf(&d->types, "%sALTER COLUMN %s TYPE %s", d->types.len > 0 ? ", " : "", name, to->type);
    if (to->collation != NULL)
        buffer_printf(&d->types, " COLLATE %s", to->collation);
    if (map != NULL)
        buffer_printf(&d->types, " USING (%s)", map);
    free(name);
}

static void
add_default(struct difference *d, const struct column *to, const char *name)
{
    if (to->default_expr == NULL)
        list_addf(d->out, "ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT", d->self, name);
    else if (to->sequence != NULL)
        list_addf(d->reasons,
                  "column \"%s\" of the target is serial: name an existing sequence in its DEFAULT",
                  to->name);
    else
        list_addf(d->out, "ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s", d->self, name, to->default_expr);
}

static bool
is_retyped(const struct difference *d, const struct column *from, const struct column *to)
{
    return strcmp(from->type, to->type) != 0 || !name_same(from->collation, to->collation) ||
           map_of(d, to->name) != NULL;
}

/* What stays is compared before types change; what a new type needs is set afterwards. */
static void
refuse_column(struct difference *d, const struct column *from, const struct column *to)
{
    const struct owned_sequence *x = from->sequence, *y = to->sequence;

    if (from->generated != to->generated || (to->generated != '\0' && !same_default(d, from, to)))
        list_addf(d->reasons, "column \"%s\" is generated in another way in the target", to->name);
    if (from->identity != to->identity || (to->identity != '\0' && strcmp(from->type, to->type) == 0 &&
                                           x != NULL && y != NULL && strcmp(x->options, y->options) != 0))
        list_addf(d->reasons, "column \"%s\" has another identity in the target", to->name);
    if (to->not_null && from->not_null &&
        (!name_same(from->not_null_name, to->not_null_name) ||
         from->not_null_invalid != to->not_null_invalid ||
         from->not_null_no_inherit != to->not_null_no_inherit))
        list_addf(d->reasons, "the NOT NULL of column \"%s\" has another name or form in the target",
                  to->name);
    if (to->compression != '\0' && to->compression != from->compression)
        list_addf(d->reasons, "column \"%s\" has another COMPRESSION in the target", to->name);
}

static void
add_column(struct difference *d, const struct column *to)
{
    char *name = name_quoted(to->name);
    struct buffer sql = {0};

    if (to->identity != '\0' || to->sequence != NULL)
        list_addf(d->reasons, "the new column \"%s\" of the target is an identity column or serial",
                  to->name);
    buffer_printf(&sql, "ALTER TABLE %s ADD COLUMN %s %s", d->self, name, to->type);
    if (to->compression != '\0')
        buffer_printf(&sql, " COMPRESSION %s", to->compression == 'l' ? "lz4" : "pglz");
    if (to->collation != NULL)
        buffer_printf(&sql, " COLLATE %s", to->collation);
    if (to->generated != '\0') {
        buffer_printf(&sql, " GENERATED ALWAYS AS (%s) %s", to->default_expr,
                      to->generated == 'v' ? "VIRTUAL" : "STORED");
    } else if (map_of(d, to->name) != NULL) {
        add_type(d, to, map_of(d, to->name));
    } else if (to->default_expr != NULL) {
        buffer_printf(&sql, " DEFAULT %s", to->default_expr);
    }
    list_add(d->out, buffer_take(&sql));
    free(name);
}

/* NOT NULL and DEFAULT of a column whose values are there by now. */
static void
settle_column(struct difference *d, const struct column *from, const struct column *to)
{
    char *name = name_quoted(to->name);
    bool mapped = from == NULL && map_of(d, to->name) != NULL;

    if (to->generated == '\0' && ((mapped && to->default_expr != NULL) ||
                                  (from != NULL && to->identity == '\0' && !same_default(d, from, to))))
        add_default(d, to, name);
    if (to->not_null && (from == NULL || !from->not_null)) {
        char *own = mem_printf("%s_%s_not_null", d->target->name, to->name);

        if (to->not_null_invalid || to->not_null_no_inherit ||
            (to->not_null_name != NULL && strcmp(to->not_null_name, own) != 0))
            list_addf(d->reasons,
                      "the NOT NULL of column \"%s\" has a name or a form of its own in the target",
                      to->name);
        list_addf(d->out, "ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", d->self, name);
        free(own);
    } else if (!to->not_null && from != NULL && from->not_null) {
        list_addf(d->out, "ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL", d->self, name);
    }
    if (to->comment != NULL && (from == NULL || !name_same(from->comment, to->comment))) {
        struct buffer text = {0};

        buffer_add_literal(&text, to->comment);
        list_addf(d->out, "COMMENT ON COLUMN %s.%s IS %s", d->self, name, text.data);
        buffer_free(&text);
    }
    free(name);
}

/* Kept columns come first, in their order, then new ones. */
static void
refuse_order(struct difference *d)
{
    int last = -1;
    bool added = false;

    for (int i = 0; i < d->target->column_count; i++) {
        const struct column *from = table_column_named(d->source, d->target->columns[i].name);

        if (from != NULL && (added || from->attnum < last)) {
            list_addf(d->reasons,
                      "column \"%s\" has another place in the target: columns keep their order, and new ones "
                      "come last",
                      from->name);
            return;
        }
        added = added || from == NULL;
        last = from != NULL ? from->attnum : last;
    }
}

static const struct constraint *
constraint_like(const struct table *t, const struct constraint *c)
{
    for (int i = 0; i < t->constraint_count; i++) {
        const struct constraint *o = &t->constraints[i];

        if (strcmp(o->name, c->name) == 0 && o->type == c->type && strcmp(o->definition, c->definition) == 0)
            return o;
    }
    return NULL;
}

static const struct index *
index_like(const struct table *t, const struct index *x)
{
    for (int i = 0; i < t->index_count; i++) {
        const struct index *o = &t->indexes[i];

        if (strcmp(o->name, x->name) == 0 && o->unique == x->unique &&
            o->nulls_not_distinct == x->nulls_not_distinct && strcmp(o->definition, x->definition) == 0)
            return o;
    }
    return NULL;
}

static void
drop_parts(struct difference *d)
{
    for (int i = 0; i < d->source->constraint_count; i++) {
        const struct constraint *c = &d->source->constraints[i];
        char *name = name_quoted(c->name);

        if (constraint_like(d->target, c) == NULL)
            list_addf(d->out, "ALTER TABLE %s DROP CONSTRAINT %s", d->self, name);
        free(name);
    }
    for (int i = 0; i < d->source->index_count; i++) {
        const struct index *x = &d->source->indexes[i];
        char *name = name_qualified(d->schema, x->name);

        if (x->constraint_oid == 0 && index_like(d->target, x) == NULL)
            list_addf(d->out, "DROP INDEX %s", name);
        free(name);
    }
}

static void
add_comment(struct difference *d, const char *comment, const char *before, const char *on)
{
    struct buffer text = {0};

    if (comment == NULL || name_same(comment, before))
        return;
    buffer_add_literal(&text, comment);
    list_addf(d->out, "COMMENT ON %s IS %s", on, text.data);
    buffer_free(&text);
}

static void
add_constraints(struct difference *d)
{
    for (int i = 0; i < d->target->constraint_count; i++) {
        const struct constraint *c = &d->target->constraints[i], *from = constraint_like(d->source, c);
        char *name = name_quoted(c->name);
        char *on = mem_printf("CONSTRAINT %s ON %s", name, d->self);

        if (from == NULL)
            list_addf(d->out, "ALTER TABLE %s ADD CONSTRAINT %s %s", d->self, name, c->definition);
        add_comment(d, c->comment, from != NULL ? from->comment : NULL, on);
        free(on);
        free(name);
    }
}

static void
add_indexes(struct difference *d)
{
    for (int i = 0; i < d->target->index_count; i++) {
        const struct index *x = &d->target->indexes[i], *from = index_like(d->source, x);
        char *name = name_quoted(x->name);
        char *qualified = name_qualified(d->schema, x->name);
        char *on = mem_printf("INDEX %s", qualified);

        if (x->tablespace != NULL && (from == NULL || !name_same(from->tablespace, x->tablespace)))
            list_addf(d->reasons, "index \"%s\" has another tablespace in the target", x->name);
        if (x->constraint_oid == 0) {
            if (from == NULL)
                list_addf(d->out, "CREATE %sINDEX %s ON %s %s", x->unique ? "UNIQUE " : "", name, d->self,
                          x->definition);
            add_comment(d, x->comment, from != NULL ? from->comment : NULL, on);
        }
        free(on);
        free(qualified);
        free(name);
    }
}

static void
change_columns(struct difference *d)
{
    for (int i = 0; i < d->target->column_count; i++) {
        const struct column *to = &d->target->columns[i], *from = table_column_named(d->source, to->name);

        if (from == NULL) {
            add_column(d, to);
            continue;
        }
        refuse_column(d, from, to);
        if (is_retyped(d, from, to))
            add_type(d, to, map_of(d, to->name));
    }
    if (d->types.len > 0)
        list_addf(d->out, "ALTER TABLE %s %s", d->self, d->types.data);
    for (int i = 0; i < d->source->column_count; i++) {
        char *name = name_quoted(d->source->columns[i].name);

        if (table_column_named(d->target, d->source->columns[i].name) == NULL)
            list_addf(d->out, "ALTER TABLE %s DROP COLUMN %s", d->self, name);
        free(name);
    }
    for (int i = 0; i < d->target->column_count; i++)
        settle_column(d, table_column_named(d->source, d->target->columns[i].name), &d->target->columns[i]);
}

void
target_difference(const struct table *source, const struct table *target, const char *schema,
                  const struct target_maps *maps, struct string_list *statements, struct string_list *reasons)
{
    struct difference d = {.source = source,
                           .target = target,
                           .schema = schema,
                           .maps = maps,
                           .self = name_qualified(schema, source->name),
                           .out = statements,
                           .reasons = reasons};
    char *on = mem_printf("TABLE %s", d.self);

    refuse_order(&d);
    drop_parts(&d);
    change_columns(&d);
    add_constraints(&d);
    add_indexes(&d);
    add_comment(&d, target->comment, source->comment, on);
    buffer_free(&d.types);
    free(on);
    free(d.self);
}
