#include "rows/transform.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"

void
stage_free(struct stage *stage)
{
    for (int i = 0; i < stage->count; i++) {
        struct stage_column *c = &stage->columns[i];

        free(c->name);
        free(c->type);
        free(c->bare_type);
        free(c->type_id);
        free(c->constant);
        free(c->default_expr);
    }
    free(stage->columns);
    *stage = (struct stage){0};
}

const struct stage_column *
stage_column(const struct stage *stage, int attnum)
{
    for (int i = 0; i < stage->count; i++)
        if (stage->columns[i].attnum == attnum)
            return &stage->columns[i];
    return NULL;
}

const struct stage_column *
stage_column_named(const struct stage *stage, const char *name)
{
    for (int i = 0; i < stage->count; i++)
        if (strcmp(stage->columns[i].name, name) == 0)
            return &stage->columns[i];
    return NULL;
}

const struct column_value *
transform_value(const struct transform *t, int attnum)
{
    for (int i = 0; i < t->count; i++)
        if (t->values[i].attnum == attnum)
            return &t->values[i];
    return NULL;
}

static struct column_value *
value_of(struct transform *t, int attnum)
{
    const struct column_value *v = transform_value(t, attnum);

    return v == NULL ? NULL : &t->values[v - t->values];
}

static void
value_free(struct column_value *v)
{
    free(v->expr);
    free(v->cast);
    free(v->depends_on);
    free(v->made_by);
    free(v->own_cast);
    free(v->own_name);
    free(v->own_zone);
}

bool
transform_is_direct(const struct column_value *v)
{
    return v->conversions <= 1 && (v->plain || v->own_direct);
}

void
transform_free(struct transform *t)
{
    for (int i = 0; i < t->count; i++)
        value_free(&t->values[i]);
    free(t->values);
    free(t->from);
    if (t->stored != NULL)
        transform_free(t->stored);
    free(t->stored);
    *t = (struct transform){0};
}

static struct column_value *
transform_value_add(struct transform *t, int attnum, enum column_origin origin)
{
    struct column_value *v;

    t->values = mem_array(t->values, (size_t)t->count + 1, sizeof(*t->values));
    v = &t->values[t->count++];
    *v = (struct column_value){.attnum = attnum, .origin = origin};
    v->depends_on = mem_alloc((size_t)t->source->column_count * sizeof(bool) + 1);
    return v;
}

void
transform_start(struct transform *t, const struct table *source, enum transform_generated generated)
{
    *t = (struct transform){.source = source};
    for (int i = 0; i < source->column_count; i++) {
        const struct column *c = &source->columns[i];
        bool stored = generated == GENERATED_STORED && c->generated == 's';
        bool computed = c->generated != '\0' && !stored;
        struct column_value *v = transform_value_add(t, i + 1, computed ? COLUMN_GENERATED : COLUMN_FROM_ROW);
        struct buffer expr = {0};

        v->plain = true;
        v->stored = stored;
        if (computed)
            continue; /* not in the change stream: computed anew if something needs the value */
        v->depends_on[i] = true;
        buffer_add_text(&expr, "pgrecast_src.");
        buffer_add_identifier(&expr, c->name);
        v->expr = buffer_take(&expr);
    }
}

void
transform_recompute(struct transform *t, int attnum)
{
    struct column_value *v = value_of(t, attnum);

    if (v != NULL)
        v->stored = false;
}

static void
set_cast(struct column_value *v, const struct stage_column *type)
{
    free(v->cast);
    v->cast = type == NULL ? NULL : mem_strdup(type->type);
    v->cuts = type != NULL && type->cuts;
}

static void
set_expr(struct column_value *v, char *expr)
{
    free(v->expr);
    v->expr = expr;
}

static bool
refuse_reading(const struct stage_column *c, struct error *err)
{
    error_set(err, ERROR_REFUSED,
              "a later statement reads column \"%s\", which an earlier one converts to %s", c->name, c->type);
    return error_hint(err, "Say it in one ALTER TABLE, with a USING that gives the final value.");
}

/* Make the value one of exactly its column's type. */
static bool
transform_settle(struct column_value *v, const struct stage_column *c, struct error *err)
{
    if (v->origin == COLUMN_DEFAULT) {
        error_set(err, ERROR_REFUSED,
                  "a later statement reads column \"%s\", whose default is made anew for each row", c->name);
        return error_hint(err, "Say it in one ALTER TABLE.");
    }
    if (v->cast == NULL)
        return true;
    if (v->cuts)
        return refuse_reading(c, err);
    set_expr(v, mem_printf("CAST(%s AS %s)", v->expr, v->cast));
    set_cast(v, NULL);
    return true;
}

/*
 * All values under the names of their columns, as the server's text of an expression over the clone needs
 * them.
 */
static char *
named_row(const struct transform *t, const struct stage *stage)
{
    struct buffer sql = {0};
    const char *separator = "SELECT ";

    for (int i = 0; i < t->count; i++) {
        const struct stage_column *c = stage_column(stage, t->values[i].attnum);

        if (c == NULL || t->values[i].expr == NULL)
            continue;
        buffer_printf(&sql, "%s%s AS ", separator, t->values[i].expr);
        buffer_add_identifier(&sql, c->name);
        separator = ", ";
    }
    if (sql.len == 0)
        buffer_add_text(&sql, "SELECT");
    if (t->from != NULL)
        buffer_printf(&sql, " FROM (%s) AS p", t->from);
    return buffer_take(&sql);
}

/* SELECT list FROM the named row, under the table's name. After that every value is a column of it. */
static void
nest(struct transform *t, const struct stage *stage, const char *list)
{
    char *row = named_row(t, stage);
    struct buffer from = {0};

    buffer_printf(&from, "%s FROM (%s) AS ", list, row);
    buffer_add_identifier(&from, t->source->name);
    free(row);
    free(t->from);
    t->from = buffer_take(&from);
    for (int i = 0; i < t->count; i++)
        if (t->values[i].expr != NULL)
            set_expr(&t->values[i], mem_printf("p.c%d", t->values[i].attnum));
}

static void
depend_on_all(struct transform *t, struct column_value *v, const struct column_value *other)
{
    for (int i = 0; i < t->source->column_count; i++)
        v->depends_on[i] = v->depends_on[i] || other->depends_on[i];
}

/* Whether the generated column reads the other one. If that is not known, it is assumed to read all. */
static bool
generated_reads(const struct transform *t, int generated, int attnum)
{
    const struct column *c;

    if (generated > t->source->column_count || attnum > t->source->column_count)
        return true;
    c = &t->source->columns[generated - 1];
    for (int i = 0; i < c->generated_from_count; i++)
        if (c->generated_from[i] == t->source->columns[attnum - 1].attnum)
            return true;
    return false;
}

/* Compute a generated column by its present expression, because something reads its value. */
static bool
materialize(struct transform *t, const struct stage *stage, struct column_value *v, struct error *err)
{
    const struct stage_column *self = stage_column(stage, v->attnum);
    struct buffer list = {0};
    const char *separator = "SELECT ";

    for (int i = 0; i < t->count; i++) {
        const struct stage_column *c = stage_column(stage, t->values[i].attnum);

        if (c == NULL || t->values[i].expr == NULL)
            continue;
        if (generated_reads(t, v->attnum, c->attnum)) {
            if (!transform_settle(&t->values[i], c, err)) {
                buffer_free(&list);
                return false;
            }
            depend_on_all(t, v, &t->values[i]);
        }
        buffer_add_text(&list, separator);
        buffer_add_identifier(&list, c->name);
        buffer_printf(&list, " AS c%d", t->values[i].attnum);
        separator = ", ";
    }
    buffer_printf(&list, "%sCAST(%s AS %s) AS c%d", separator, self->default_expr, self->type, v->attnum);
    nest(t, stage, list.data);
    buffer_free(&list);
    v->origin = COLUMN_FROM_ROW;
    v->plain = false;
    set_expr(v, mem_printf("p.c%d", v->attnum));
    return true;
}

static const struct clause *
using_of(const struct statement *statement, const char *column)
{
    for (int k = 0; k < statement->clause_count; k++)
        if (statement->clauses[k].has_using && strcmp(statement->clauses[k].column, column) == 0)
            return &statement->clauses[k];
    return NULL;
}

/* The column's value, of exactly its type; computed if the column is generated. */
static bool
prepare_column(struct transform *t, const struct stage *stage, const struct stage_column *c,
               struct error *err)
{
    struct column_value *v = value_of(t, c->attnum);

    return v->origin == COLUMN_GENERATED ? materialize(t, stage, v, err) : transform_settle(v, c, err);
}

/* Whether the USING reads the column. If it may name the row as a whole, it is assumed to read all. */
static bool
reads(const struct clause *clause, const struct stage_column *c)
{
    return clause->using_row || list_has(&clause->using_columns, c->name);
}

static bool
prepare_read_columns(struct transform *t, const struct stage *before, const struct clause *clause,
                     struct error *err)
{
    for (int i = 0; i < before->count; i++) {
        const struct stage_column *c = &before->columns[i];

        if (reads(clause, c) && !prepare_column(t, before, c, err))
            return false;
    }
    return true;
}

bool
transform_prepare(struct transform *t, const struct stage *before, const struct statement *statement,
                  char **list, struct error *err)
{
    struct buffer text = {0};
    bool any = false;

    *list = NULL;
    for (int k = 0; k < statement->clause_count; k++)
        if (statement->clauses[k].has_using && !prepare_read_columns(t, before, &statement->clauses[k], err))
            return false;
    for (int i = 0; i < before->count; i++) {
        const struct stage_column *c = &before->columns[i];
        const struct clause *clause = using_of(statement, c->name);
        bool computed = clause != NULL && !clause->using_literal;

        if (!computed && transform_value(t, c->attnum)->expr == NULL)
            continue;
        buffer_add_text(&text, text.len == 0 ? "SELECT " : ", ");
        if (computed)
            buffer_printf(&text, "(%s)", clause->using_expr);
        else
            buffer_add_identifier(&text, c->name);
        buffer_printf(&text, " AS c%d", c->attnum);
        any = any || computed;
    }
    if (any)
        *list = buffer_take(&text);
    buffer_free(&text);
    return true;
}

/*
 * What the expression depends on: everything that the columns which it reads depended on before the
 * statement.
 */
static bool *
using_depends_on(const struct transform *t, const struct stage *before, const struct clause *clause)
{
    bool *depends_on = mem_alloc((size_t)t->source->column_count * sizeof(bool) + 1);

    for (int i = 0; i < before->count; i++) {
        const struct column_value *from =
            reads(clause, &before->columns[i]) ? transform_value(t, before->columns[i].attnum) : NULL;

        for (int k = 0; from != NULL && k < t->source->column_count; k++)
            depends_on[k] = depends_on[k] || from->depends_on[k];
    }
    return depends_on;
}

/* The column with the USING gets the value of the USING, and its dependencies. */
static void
take_using(struct transform *t, const struct stage *before, const struct stage *after,
           const struct clause *clause, bool *depends_on)
{
    const struct stage_column *c = stage_column_named(before, clause->column);
    const struct stage_column *changed = c == NULL ? NULL : stage_column(after, c->attnum);
    struct column_value *v = c == NULL ? NULL : value_of(t, c->attnum);

    if (v == NULL || changed == NULL) {
        free(depends_on);
        return;
    }
    free(v->depends_on);
    v->depends_on = depends_on;
    v->plain = false;
    v->origin = COLUMN_FROM_ROW;
    v->conversions++;
    set_expr(v, clause->using_literal ? mem_printf("CAST(%s AS %s)", clause->using_expr, changed->bare_type)
                                      : mem_printf("p.c%d", v->attnum));
    set_cast(v, changed);
}

static void
take_all_using(struct transform *t, const struct stage *before, const struct stage *after,
               const struct statement *statement)
{
    bool **depends_on = mem_alloc((size_t)statement->clause_count * sizeof(*depends_on) + 1);

    for (int k = 0; k < statement->clause_count; k++)
        if (statement->clauses[k].has_using)
            depends_on[k] = using_depends_on(t, before, &statement->clauses[k]);
    for (int k = 0; k < statement->clause_count; k++)
        if (statement->clauses[k].has_using)
            take_using(t, before, after, &statement->clauses[k], depends_on[k]);
    free(depends_on);
}

/* A column that the statement added. */
static void
take_added(struct transform *t, const struct stage_column *c)
{
    struct column_value *v = transform_value_add(t, c->attnum, COLUMN_CONSTANT);
    struct buffer expr = {0};

    if (c->generated != '\0') {
        v->origin = COLUMN_GENERATED;
        return;
    }
    if (c->identity != '\0' || c->default_volatile) {
        v->origin = COLUMN_DEFAULT;
        v->made_by = mem_strdup(c->identity != '\0' ? "identity" : c->default_expr);
        return;
    }
    if (c->constant == NULL)
        buffer_add_text(&expr, "NULL");
    else
        buffer_add_literal(&expr, c->constant);
    buffer_printf(&expr, "::%s", c->type);
    v->expr = buffer_take(&expr);
}

/* Columns that are no longer generated keep the values that they have. */
static bool
take_expressions(struct transform *t, const struct stage *before, const struct stage *after,
                 struct error *err)
{
    for (int i = 0; i < before->count; i++) {
        const struct stage_column *now = stage_column(after, before->columns[i].attnum);

        if (before->columns[i].generated != '\0' && now != NULL && now->generated == '\0' &&
            !prepare_column(t, before, &before->columns[i], err))
            return false;
    }
    return true;
}

/* Columns that changed their type without a USING. */
static bool
take_types(struct transform *t, const struct stage *before, const struct stage *after,
           const struct statement *statement, struct error *err)
{
    for (int i = 0; i < before->count; i++) {
        const struct stage_column *old = &before->columns[i];
        const struct stage_column *now = stage_column(after, old->attnum);
        struct column_value *v = value_of(t, old->attnum);

        if (now == NULL || strcmp(old->type_id, now->type_id) == 0 ||
            using_of(statement, old->name) != NULL || v->origin == COLUMN_GENERATED)
            continue;
        if (!transform_settle(v, old, err))
            return false;
        v->conversions++;
        set_cast(v, now);
    }
    return true;
}

/*
 * The text after a name that it may begin with, in quotes or without; NULL if it does not begin with the
 * name.
 */
static const char *
after_name(const char *text, const char *name)
{
    struct buffer quoted = {0};
    const char *after = NULL;

    buffer_add_identifier(&quoted, name);
    if (strncmp(text, quoted.data, quoted.len) == 0)
        after = text + quoted.len;
    else if (strncmp(text, name, strlen(name)) == 0)
        after = text + strlen(name);
    buffer_free(&quoted);
    return after;
}

/* "SELECT (table.name)::type AS c1" as the server writes it, with or without the table's name. */
static bool
is_one_cast(const char *view, const char *table, const char *name, const char *type)
{
    static const char head[] = "SELECT (";
    const char *at = view + strspn(view, " ");
    const char *after;
    char *tail = mem_printf(")::%s AS c1", type);
    bool is = strncmp(at, head, strlen(head)) == 0;

    if (is) {
        at += strlen(head);
        after = after_name(at, table);
        if (after != NULL && *after == '.')
            at = after + 1;
        after = after_name(at, name);
        is = after != NULL && strncmp(after, tail, strlen(tail)) == 0 &&
             after[strlen(tail) + strspn(after + strlen(tail), " \n")] == '\0';
    }
    free(tail);
    return is;
}

void
transform_note_cast(struct transform *t, int attnum, const char *name, const char *zone, char *view)
{
    struct column_value *v = value_of(t, attnum);

    if (v == NULL || v->conversions > 1) { /* dropped, or what it casts is not the original's value */
        free(view);
        return;
    }
    free(v->own_cast);
    free(v->own_name);
    free(v->own_zone);
    v->own_cast = view;
    v->own_name = mem_strdup(name);
    v->own_zone = mem_strdup(zone);
    v->own_direct = v->cast != NULL && is_one_cast(view, t->source->name, name, v->cast);
}

static void
drop_values(struct transform *t, const struct stage *after)
{
    int kept = 0;

    for (int i = 0; i < t->count; i++) {
        if (stage_column(after, t->values[i].attnum) == NULL)
            value_free(&t->values[i]);
        else
            t->values[kept++] = t->values[i];
    }
    t->count = kept;
}

bool
transform_step(struct transform *t, const struct stage *before, const struct stage *after,
               const struct statement *statement, const char *view, struct error *err)
{
    if (view != NULL)
        nest(t, before, view);
    if (!take_expressions(t, before, after, err))
        return false;
    take_all_using(t, before, after, statement);
    if (!take_types(t, before, after, statement, err))
        return false;
    drop_values(t, after);
    for (int i = 0; i < after->count; i++)
        if (stage_column(before, after->columns[i].attnum) == NULL)
            take_added(t, &after->columns[i]);
    return true;
}
