#include "objects/generate.h"

#include <stdlib.h>
#include <string.h>

#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "row_operators.h"

static void
add_qualified(struct buffer *sql, const char *schema, const char *name)
{
    buffer_add_identifier(sql, schema);
    buffer_add_char(sql, '.');
    buffer_add_identifier(sql, name);
}

static void
generate_add_relation(struct buffer *sql, const struct generate *g, const char *final)
{
    add_qualified(sql, g->schema, name_map_find(g->relations, final));
}

static void
add_self(struct buffer *sql, const struct generate *g)
{
    add_qualified(sql, g->schema, g->name);
}

static void
generate_take(struct string_list *out, struct buffer *sql)
{
    list_add(out, buffer_take(sql));
}

/* A statement with expressions of the table, run with the search_path that is needed to read them. */
static void
generate_read(struct string_list *out, const struct generate *g, struct buffer *sql)
{
    struct error ignored = {0};
    char *text = buffer_take(sql);

    if (g->table->search_path == NULL) {
        list_add(out, text);
        return;
    }
    row_operators_bare(&text,
                       /* what cannot be read stays as it is, and the server reports what is wrong with it */
                       &ignored);
    error_clear(&ignored);
    list_addf(out, "SET LOCAL search_path TO %s", g->table->search_path);
    list_add(out, text);
    list_addf(out, "SET LOCAL search_path TO ''");
}

/* The same, as one text that is run as one. */
static char *
generate_read_one(const struct generate *g, struct buffer *sql)
{
    struct string_list list = {0};
    char *text;

    generate_read(&list, g, sql);
    text = list.count == 1 ? mem_strdup(list.items[0])
                           : mem_printf("%s; %s; %s", list.items[0], list.items[1], list.items[2]);
    list_free(&list);
    return text;
}

const struct constraint *
generate_constraint_of(const struct table *t, const struct index *index)
{
    for (int i = 0; i < t->constraint_count; i++)
        if (t->constraints[i].index_oid == index->oid)
            return &t->constraints[i];
    return NULL;
}

/*
 * The default's text, with the temporary names of its sequences. Sequences that the plan creates are written
 * in it as 'schema.name'::regclass with both names in double quotes; text that comes from the server never
 * has that form.
 */
static void
add_default(struct buffer *sql, const struct generate *g, const char *expr)
{
    const char *at = expr;

    for (int i = 0; g->relations != NULL && i < g->relations->count; i++) {
        char *final = name_qualified(g->schema, g->relations->pairs[i].final);
        char *shadow = name_qualified(g->schema, g->relations->pairs[i].shadow);
        struct buffer from = {0};
        struct buffer to = {0};
        const char *found;

        buffer_add_literal(&from, final);
        buffer_add_literal(&to, shadow);
        while ((found = strstr(at, from.data)) != NULL) {
            buffer_add(sql, at, (size_t)(found - at));
            buffer_add(sql, to.data, to.len);
            at = found + from.len;
        }
        free(final);
        free(shadow);
        buffer_free(&from);
        buffer_free(&to);
    }
    buffer_add_text(sql, at);
}

static void
add_identity(struct buffer *sql, const struct generate *g, const struct column *c)
{
    buffer_printf(sql, " GENERATED %s AS IDENTITY",
                  c->identity == 'a' && !g->shadow ? "ALWAYS" : "BY DEFAULT");
    if (c->sequence == NULL)
        return;
    buffer_add_text(sql, " (SEQUENCE NAME ");
    generate_add_relation(sql, g, c->sequence->name);
    buffer_printf(sql, " %s)", c->sequence->options);
}

static void
generate_add_column(struct buffer *sql, const struct generate *g, const struct column *c)
{
    buffer_add_identifier(sql, c->name);
    buffer_printf(sql, " %s", c->type);
    if (c->compression != '\0')
        buffer_printf(sql, " COMPRESSION %s", c->compression == 'l' ? "lz4" : "pglz");
    if (c->collation != NULL)
        buffer_printf(sql, " COLLATE %s", c->collation);
    if (c->generated != '\0') {
        buffer_printf(sql, " GENERATED ALWAYS AS (%s) %s", c->default_expr,
                      c->generated == 'v' ? "VIRTUAL" : "STORED");
    } else if (c->identity != '\0') {
        add_identity(sql, g, c);
    } else if (c->default_expr != NULL) {
        buffer_add_text(sql, " DEFAULT ");
        add_default(sql, g, c->default_expr);
    }
    if (c->not_null && !c->not_null_invalid) {
        if (c->not_null_name != NULL) {
            buffer_add_text(sql, " CONSTRAINT ");
            buffer_add_identifier(sql, c->not_null_name);
        }
        buffer_printf(sql, " NOT NULL%s", c->not_null_no_inherit ? " NO INHERIT" : "");
    }
}

static void
add_options(struct buffer *all, const char *options)
{
    if (options != NULL)
        buffer_printf(all, "%s%s", all->len > 0 ? ", " : "", options);
}

/* Where the rows are stored. The swap sets the shadow's autovacuum_enabled. */
static void
add_storage(struct buffer *sql, const struct generate *g)
{
    const struct table *t = g->table;
    struct buffer all = {0};

    add_options(&all, t->options);
    add_options(&all, t->toast_options);
    add_options(&all, g->shadow ? "autovacuum_enabled=false" : t->autovacuum);
    add_options(&all, g->shadow ? "toast.autovacuum_enabled=false" : t->toast_autovacuum);
    if (all.len > 0)
        buffer_printf(sql, " WITH (%s)", all.data);
    buffer_free(&all);
}

/* A partitioned table has no storage, and its indexes have none. */
static void
add_tablespace(struct buffer *sql, const struct table *t, const char *tablespace)
{
    if (t->partition_key != NULL)
        return;
    buffer_add_text(sql, " TABLESPACE ");
    buffer_add_identifier(sql, tablespace != NULL ? tablespace : t->database_tablespace);
}

static void
create_table(const struct generate *g, struct string_list *out)
{
    const struct table *t = g->table;
    struct buffer sql = {0};
    const char *separator = "\n    ";

    buffer_add_text(&sql, "CREATE TABLE ");
    add_self(&sql, g);
    buffer_add_text(&sql, " (");
    for (int i = 0; i < t->column_count; i++, separator = ",\n    ") {
        buffer_add_text(&sql, separator);
        generate_add_column(&sql, g, &t->columns[i]);
    }
    for (int i = 0; i < g->hidden_count; i++) {
        if (!g->hidden[i].hidden)
            continue;
        buffer_add_text(&sql, separator);
        buffer_add_identifier(&sql, g->hidden[i].shadow_name);
        buffer_printf(&sql, " %s", g->hidden[i].type);
        if (g->hidden[i].collation != NULL)
            buffer_printf(&sql, " COLLATE %s", g->hidden[i].collation);
        buffer_add_text(&sql, " NOT NULL");
        separator = ",\n    ";
    }
    for (int i = 0; i < t->constraint_count; i++) {
        const struct constraint *c = &t->constraints[i];

        if (c->type != 'c' || !c->validated)
            continue;
        buffer_printf(&sql, "%sCONSTRAINT ", separator);
        buffer_add_identifier(&sql, c->name);
        buffer_printf(&sql, " %s", c->definition);
        separator = ",\n    ";
    }
    buffer_add_text(&sql, "\n)");
    if (t->partition_key != NULL) {
        buffer_printf(&sql, " PARTITION BY %s", t->partition_key);
    } else {
        buffer_add_text(&sql, " USING heap");
        add_storage(&sql, g);
    }
    add_tablespace(&sql, t, t->tablespace);
    generate_read(out, g, &sql);
}

/* Partitions have their final names from the beginning, because nothing else has them. */
static void
create_partitions(const struct generate *g, struct string_list *out)
{
    for (int i = 0; i < g->table->partition_count; i++) {
        const struct partition *p = &g->table->partitions[i];
        struct buffer sql = {0};

        buffer_add_text(&sql, "CREATE TABLE ");
        add_qualified(&sql, g->schema, p->name);
        buffer_add_text(&sql, " PARTITION OF ");
        add_qualified(&sql, g->schema, p->parent != NULL ? p->parent : g->name);
        buffer_printf(&sql, " %s", p->bounds);
        if (p->partition_key != NULL) {
            buffer_printf(&sql, " PARTITION BY %s", p->partition_key);
        } else {
            buffer_add_text(&sql, " USING heap");
            add_storage(&sql, g);
        }
        generate_take(out, &sql);
    }
}

static const char *
storage_word(char storage)
{
    return storage == 'p' ? "PLAIN" : storage == 'e' ? "EXTERNAL" : storage == 'm' ? "MAIN" : "EXTENDED";
}

/* ALTER COLUMN for one column: properties that CREATE TABLE cannot set on all versions. */
static void
alter_column(const struct generate *g, const struct column *c, struct string_list *out)
{
    struct buffer actions = {0};
    char *name = name_quoted(c->name);
    char *self;

    if (c->storage != c->type_storage)
        buffer_printf(&actions, ", ALTER COLUMN %s SET STORAGE %s", name, storage_word(c->storage));
    if (c->statistics >= 0)
        buffer_printf(&actions, ", ALTER COLUMN %s SET STATISTICS %d", name, c->statistics);
    if (c->options != NULL)
        buffer_printf(&actions, ", ALTER COLUMN %s SET (%s)", name, c->options);
    if (actions.len > 0) {
        self = name_qualified(g->schema, g->name);
        list_addf(out, "ALTER TABLE %s %s", self, actions.data + 2);
        free(self);
    }
    buffer_free(&actions);
    free(name);
}

void
generate_table(const struct generate *g, struct string_list *out)
{
    create_table(g, out);
    /* before the properties of columns, which partitions do not inherit when they are created */
    create_partitions(g, out);
    for (int i = 0; i < g->table->column_count; i++)
        alter_column(g, &g->table->columns[i], out);
}

void
generate_sequence(const struct generate *g, const struct owned_sequence *sequence, struct string_list *out)
{
    struct buffer sql = {0};

    buffer_add_text(&sql, "CREATE SEQUENCE ");
    generate_add_relation(&sql, g, sequence->name);
    buffer_printf(&sql, " AS %s %s", sequence->type, sequence->options);
    generate_take(out, &sql);
}

static bool
generate_has_expressions(const struct index *index)
{
    for (int i = 0; i < index->key_count; i++)
        if (index->key_attnums[i] == 0)
            return true;
    return index->partial;
}

char *
generate_index(const struct generate *g, const struct index *index)
{
    struct buffer sql = {0};
    size_t len = strlen(index->definition);

    /* TABLESPACE stands before WHERE */
    if (index->predicate != NULL)
        len -= strlen(" WHERE ") + strlen(index->predicate);
    buffer_printf(&sql, "CREATE %sINDEX ", index->unique ? "UNIQUE " : "");
    buffer_add_identifier(&sql, name_map_find(g->relations, index->name));
    buffer_add_text(&sql, " ON ");
    add_self(&sql, g);
    buffer_add_char(&sql, ' ');
    buffer_add(&sql, index->definition, len);
    add_tablespace(&sql, g->table, index->tablespace);
    buffer_add_text(&sql, index->definition + len);
    return generate_has_expressions(index) ? generate_read_one(g, &sql) : buffer_take(&sql);
}

bool
generate_builds_index(const struct table *t, const struct constraint *c)
{
    return c->type == 'x' || c->temporal || t->partition_key != NULL;
}

/*
 * "… USING INDEX TABLESPACE x" is placed at the end of the definition's attributes: before WHERE or
 * DEFERRABLE.
 */
static void
add_building_definition(struct buffer *sql, const struct generate *g, const struct constraint *c,
                        const struct index *index)
{
    size_t len = strlen(c->definition);
    char *tails[] = {
        index->predicate != NULL ? mem_printf(" WHERE (%s)", index->predicate) : NULL,
        mem_strdup(" DEFERRABLE"),
    };

    for (size_t i = 0; i < 2; i++) {
        const char *tail = tails[i] != NULL ? strstr(c->definition, tails[i]) : NULL;

        if (tail != NULL && (size_t)(tail - c->definition) < len)
            len = (size_t)(tail - c->definition);
        free(tails[i]);
    }
    buffer_add(sql, c->definition, len);
    if (g->table->partition_key == NULL) {
        buffer_add_text(sql, " USING INDEX");
        add_tablespace(sql, g->table, index->tablespace);
    }
    buffer_add_text(sql, c->definition + len);
}

char *
generate_index_constraint(const struct generate *g, const struct constraint *c, const struct index *index)
{
    struct buffer sql = {0};

    buffer_add_text(&sql, "ALTER TABLE ");
    add_self(&sql, g);
    buffer_add_text(&sql, " ADD CONSTRAINT ");
    buffer_add_identifier(&sql, name_map_find(g->relations, index->name));
    buffer_add_char(&sql, ' ');
    if (generate_builds_index(g->table, c)) {
        add_building_definition(&sql, g, c, index);
        return generate_has_expressions(index) ? generate_read_one(g, &sql) : buffer_take(&sql);
    }
    buffer_printf(&sql, "%s USING INDEX ", c->type == 'p' ? "PRIMARY KEY" : "UNIQUE");
    buffer_add_identifier(&sql, name_map_find(g->relations, index->name));
    if (c->deferrable)
        buffer_printf(&sql, " DEFERRABLE INITIALLY %s", c->deferred ? "DEFERRED" : "IMMEDIATE");
    return buffer_take(&sql);
}

static void
comment_on(struct string_list *out, const char *kind, const char *object, const char *comment)
{
    struct buffer sql = {0};

    if (comment == NULL)
        return;
    buffer_printf(&sql, "COMMENT ON %s %s IS ", kind, object);
    buffer_add_literal(&sql, comment);
    generate_take(out, &sql);
}

static void
comment_on_constraint(const struct generate *g, struct string_list *out, const char *name,
                      const char *comment)
{
    char *self;
    char *quoted;
    char *object;

    if (comment == NULL)
        return;
    self = name_qualified(g->schema, g->name);
    quoted = name_quoted(name);
    object = mem_printf("%s ON %s", quoted, self);
    comment_on(out, "CONSTRAINT", object, comment);
    free(object);
    free(quoted);
    free(self);
}

void
generate_not_valid(const struct generate *g, struct string_list *out)
{
    const struct table *t = g->table;
    struct buffer sql = {0};

    for (int i = 0; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];

        if (!c->not_null || !c->not_null_invalid)
            continue;
        buffer_add_text(&sql, "ALTER TABLE ");
        add_self(&sql, g);
        buffer_add_text(&sql, " ADD CONSTRAINT ");
        buffer_add_identifier(&sql, c->not_null_name);
        buffer_add_text(&sql, " NOT NULL ");
        buffer_add_identifier(&sql, c->name);
        buffer_printf(&sql, "%s NOT VALID", c->not_null_no_inherit ? " NO INHERIT" : "");
        generate_take(out, &sql);
        comment_on_constraint(g, out, c->not_null_name, c->not_null_comment);
    }
    for (int i = 0; i < t->constraint_count; i++) {
        const struct constraint *c = &t->constraints[i];

        if (c->type != 'c' || c->validated)
            continue;
        buffer_add_text(&sql, "ALTER TABLE ");
        add_self(&sql, g);
        buffer_add_text(&sql, " ADD CONSTRAINT ");
        buffer_add_identifier(&sql, c->name);
        buffer_printf(&sql, " %s", c->definition);
        generate_read(out, g, &sql);
        comment_on_constraint(g, out, c->name, c->comment);
    }
}

void
generate_comments(const struct generate *g, struct string_list *out)
{
    const struct table *t = g->table;
    char *self = name_qualified(g->schema, g->name);

    comment_on(out, "TABLE", self, t->comment);
    for (int i = 0; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];
        char *name = name_quoted(c->name);
        char *object = mem_printf("%s.%s", self, name);

        comment_on(out, "COLUMN", object, c->comment);
        if (!c->not_null_invalid)
            comment_on_constraint(g, out, c->not_null_name, c->not_null_comment);
        free(object);
        free(name);
    }
    for (int i = 0; i < t->constraint_count; i++)
        if (t->constraints[i].type == 'c' && t->constraints[i].validated)
            comment_on_constraint(g, out, t->constraints[i].name, t->constraints[i].comment);
    free(self);
}

void
generate_index_extras(const struct generate *g, const struct index *index, struct string_list *out)
{
    const struct constraint *c = generate_constraint_of(g->table, index);
    const char *name = name_map_find(g->relations, index->name);
    char *quoted = name_qualified(g->schema, name);

    for (int i = 0; i < index->statistics_count; i++)
        list_addf(out, "ALTER INDEX %s ALTER COLUMN %d SET STATISTICS %d", quoted,
                  index->statistics[i].column, index->statistics[i].target);
    comment_on(out, "INDEX", quoted, index->comment);
    if (c != NULL)
        comment_on_constraint(g, out, name, c->comment);
    free(quoted);
}

char *
generate_statistics_schema(const struct generate *g, const struct extended_statistics *x)
{
    if (g->shadow)
        return mem_strdup(x->schema);
    return strcmp(x->schema, g->table->schema) == 0 ? mem_strdup(g->schema)
                                                    : mem_printf("%s_statistics", g->schema);
}

void
generate_statistics(const struct generate *g, const struct extended_statistics *x, struct string_list *out)
{
    struct buffer sql = {0};
    char *schema = generate_statistics_schema(g, x);
    char *name = name_qualified(schema, name_map_find(g->statistics, x->name));
    char *self = name_qualified(g->schema, g->name);

    buffer_printf(&sql, "CREATE STATISTICS %s %s FROM %s", name, x->definition, self);
    generate_read(out, g, &sql);
    if (x->target >= 0)
        list_addf(out, "ALTER STATISTICS %s SET STATISTICS %d", name, x->target);
    comment_on(out, "STATISTICS", name, x->comment);
    free(self);
    free(name);
    free(schema);
}

void
generate_identity(const struct generate *g, struct string_list *out)
{
    const struct table *t = g->table;
    char *self = name_qualified(g->schema, g->name);

    for (int i = 0; i < t->index_count; i++) {
        char *name = name_quoted(name_map_find(g->relations, t->indexes[i].name));

        if (t->indexes[i].clustered)
            list_addf(out, "ALTER TABLE %s CLUSTER ON %s", self, name);
        if (t->replica_identity == 'i' && t->indexes[i].replica_identity)
            list_addf(out, "ALTER TABLE %s REPLICA IDENTITY USING INDEX %s", self, name);
        free(name);
    }
    if (t->replica_identity == 'f' || t->replica_identity == 'n')
        list_addf(out, "ALTER TABLE %s REPLICA IDENTITY %s", self,
                  t->replica_identity == 'f' ? "FULL" : "NOTHING");
    free(self);
}
