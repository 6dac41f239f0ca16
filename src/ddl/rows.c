#include "ddl/rows.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "core/list.h"

enum { JSON = 114, BPCHAR = 1042, NUMERIC = 1700, JSONB = 3802 };

static bool
default_stayed(const struct column_value *v, const struct column *c)
{
    if (strcmp(v->made_by, "identity") == 0)
        return c->identity != '\0';
    /* a sequence that is new is written differently by now: a type change is what cannot be told then */
    return c->default_expr != NULL &&
           (strcmp(v->made_by, c->default_expr) == 0 || strstr(v->made_by, "nextval(") == v->made_by);
}

bool
rows_plan_columns(struct plan *p, const struct transform *t, struct error *err)
{
    p->columns = mem_alloc(((size_t)p->target->column_count + 1) * sizeof(*p->columns));
    p->column_count = p->target->column_count;
    for (int i = 0; i < p->column_count; i++) {
        const struct column *c = &p->target->columns[i];
        const struct column_value *v = transform_value(t, c->attnum);
        struct plan_column *column = &p->columns[i];

        column->name = mem_strdup(c->name);
        column->type = mem_strdup(c->type);
        column->origin = c->generated != '\0' ? COLUMN_GENERATED : v->origin;
        column->plain = v->plain && column->origin == COLUMN_FROM_ROW;
        column->kept = v->kept;
        if (column->origin == COLUMN_FROM_ROW) {
            column->depends_on = mem_alloc((size_t)p->source->column_count * sizeof(bool) + 1);
            memcpy(column->depends_on, v->depends_on, (size_t)p->source->column_count * sizeof(bool));
        }
        if (column->origin == COLUMN_DEFAULT && v->made_by != NULL && !default_stayed(v, c)) {
            error_set(
                err, ERROR_REFUSED,
                "column \"%s\" is added with a default that is made anew for each row, and changed after",
                c->name);
            return error_hint(err, "Say it in one ALTER TABLE.");
        }
    }
    return true;
}

static void
add_from(struct buffer *sql, const struct transform *t)
{
    if (t->from != NULL)
        buffer_printf(sql, " FROM (%s) AS p", t->from);
}

static void
add_name(struct buffer *list, const char *name)
{
    buffer_add_text(list, list->len > 0 ? ", " : "");
    buffer_add_identifier(list, name);
}

void
rows_plan_insert(struct plan *p, const struct transform *t)
{
    struct buffer names = {0};
    struct buffer sql = {0};

    p->insert_origin = mem_alloc(((size_t)p->column_count + (size_t)p->key_count) * sizeof(int) + 1);
    for (int i = 0; i < p->column_count; i++) {
        const struct column_value *v = transform_value(t, p->target->columns[i].attnum);

        if (p->columns[i].origin == COLUMN_GENERATED || p->columns[i].origin == COLUMN_DEFAULT)
            continue;
        add_name(&names, p->columns[i].name);
        buffer_printf(&sql, "%s%s AS c%d", p->insert_count == 0 ? "SELECT " : ", ", v->expr, i + 1);
        p->insert_origin[p->insert_count++] = i;
    }
    for (int i = 0; i < p->key_count; i++) {
        if (!p->key[i].hidden)
            continue;
        add_name(&names, p->key[i].shadow_name);
        buffer_printf(&sql, "%spgrecast_src.", p->insert_count == 0 ? "SELECT " : ", ");
        buffer_add_identifier(&sql, p->key[i].source_name);
        buffer_printf(&sql, " AS k%d", i + 1);
        p->insert_origin[p->insert_count++] = -1 - i;
    }
    add_from(&sql, t);
    p->insert_columns = buffer_take(&names);
    p->transform_insert = buffer_take(&sql);
}

/* Each row has a value of its own that does not follow from the source's row. */
static bool
is_own(const struct plan_column *c)
{
    return c->origin == COLUMN_DEFAULT || c->kept;
}

/* Made once per row, or computed from what is: without a counterpart to compare with. */
static bool
has_counterpart(const struct plan *p, int position)
{
    const struct column *c = &p->target->columns[position];

    if (is_own(&p->columns[position]))
        return false;
    for (int i = 0; c->generated != '\0' && i < c->generated_from_count; i++)
        for (int k = 0; k < p->column_count; k++)
            if (p->target->columns[k].attnum == c->generated_from[i] && is_own(&p->columns[k]))
                return false;
    return true;
}

/* The final row under its final names: what generated columns are computed from. */
static char *
final_row(const struct plan *p, const struct transform *t)
{
    struct buffer sql = {0};

    for (int i = 0; i < p->column_count; i++) {
        const struct column_value *v = transform_value(t, p->target->columns[i].attnum);

        if (p->columns[i].origin == COLUMN_GENERATED || p->columns[i].origin == COLUMN_DEFAULT)
            continue;
        buffer_add_text(&sql, sql.len == 0 ? "SELECT " : ", ");
        if (v->cast != NULL)
            buffer_printf(&sql, "CAST(%s AS %s)", v->expr, v->cast);
        else
            buffer_add_text(&sql, v->expr);
        buffer_add_text(&sql, " AS ");
        buffer_add_identifier(&sql, p->columns[i].name);
    }
    if (sql.len == 0)
        buffer_add_text(&sql, "SELECT");
    add_from(&sql, t);
    return buffer_take(&sql);
}

static void
plan_compare_transform(struct plan *p, const struct transform *t)
{
    char *row = final_row(p, t);
    struct buffer sql = {0};

    for (int i = 0; i < p->column_count; i++) {
        if (!has_counterpart(p, i)) {
            list_add(&p->not_compared, mem_strdup(p->columns[i].name));
            continue;
        }
        buffer_add_text(&sql, sql.len == 0 ? "SELECT " : ", ");
        if (p->columns[i].origin == COLUMN_GENERATED)
            buffer_printf(&sql, "CAST(%s AS %s)", p->target->columns[i].default_expr, p->columns[i].type);
        else
            buffer_add_identifier(&sql, p->columns[i].name);
        buffer_printf(&sql, " AS c%d", i + 1);
    }
    if (sql.len == 0)
        buffer_add_text(&sql, "SELECT");
    buffer_printf(&sql, " FROM (%s) AS ", row);
    buffer_add_identifier(&sql, p->source->name);
    p->transform_compare = buffer_take(&sql);
    free(row);
}

/* Base types whose binary form is the same for the same value, however it got there */
static const struct {
    oid_t type;
    oid_t array;
} binary_types[] = {
    {16, 1000},   /* bool */
    {17, 1001},   /* bytea */
    {20, 1016},   /* int8 */
    {21, 1005},   /* int2 */
    {23, 1007},   /* int4 */
    {25, 1009},   /* text */
    {26, 1028},   /* oid */
    {114, 199},   /* json */
    {142, 143},   /* xml */
    {650, 651},   /* cidr */
    {790, 791},   /* money */
    {829, 1040},  /* macaddr */
    {869, 1041},  /* inet */
    {774, 775},   /* macaddr8 */
    {1042, 1014}, /* bpchar */
    {1043, 1015}, /* varchar */
    {1082, 1182}, /* date */
    {1083, 1183}, /* time */
    {1114, 1115}, /* timestamp */
    {1184, 1185}, /* timestamptz */
    {1186, 1187}, /* interval */
    {1266, 1270}, /* timetz */
    {1560, 1561}, /* bit */
    {1562, 1563}, /* varbit */
    {1700, 1231}, /* numeric */
    {2950, 2951}, /* uuid */
    {3614, 3643}, /* tsvector */
    {3802, 3807}, /* jsonb */
};

static bool
is_binary(const struct column *c)
{
    if (c->typtype == 'e' || c->element_typtype == 'e')
        return true;
    for (size_t i = 0; i < sizeof(binary_types) / sizeof(binary_types[0]); i++)
        if (c->base_type_oid == binary_types[i].type || c->base_type_oid == binary_types[i].array)
            return true;
    return false;
}

/* A value in a form that is equal where the value is: the type's own, or its output in a row, which tells
 * NULL apart. */
static void
add_canonical(struct buffer *list, const struct column *c, const char *value)
{
    if (is_binary(c))
        buffer_add_text(list, value);
    else if (c->base_type_oid == 700 || c->base_type_oid == 701) /* a NaN has more than one binary form */
        buffer_printf(list, "CASE WHEN %s = 'NaN' THEN 'NaN' ELSE %s END", value, value);
    else
        buffer_printf(list, "ROW(%s)::pg_catalog.text", value);
}

/* What a proof compares of a column whose type changed: later writes to the new table are as its type writes
 * them, which the original's cannot keep (1.5 as 1.50), and mean the same. */
static char *
meaning_of(const struct plan *p, int position, const char *value)
{
    const struct column *to = &p->target->columns[position];
    const bool *depends_on = p->columns[position].depends_on;

    for (int i = 0; depends_on != NULL && i < p->source->column_count; i++) {
        if (!depends_on[i] || strcmp(p->source->columns[i].base_type, to->base_type) == 0)
            continue;
        if (to->base_type_oid == NUMERIC)
            return mem_printf("pg_catalog.trim_scale(%s)", value);
        if (to->base_type_oid == BPCHAR) /* spaces at its end are none of its value */
            return mem_printf("CAST(%s AS pg_catalog.text)", value);
        if (to->base_type_oid == JSON && p->source->columns[i].base_type_oid == JSONB)
            return mem_printf("CAST(%s AS pg_catalog.jsonb)", value);
    }
    return mem_strdup(value);
}

static void
add_compared(struct buffer *list, const struct plan *p, int position, const char *alias, const char *name,
             enum rows_comparison comparison)
{
    struct buffer value = {0};
    char *meaning;

    buffer_printf(&value, "%s.", alias);
    buffer_add_identifier(&value, name);
    buffer_add_text(list, list->len > 0 ? ", " : "");
    meaning = comparison == ROWS_PROVEN ? meaning_of(p, position, value.data) : mem_strdup(value.data);
    add_canonical(list, &p->target->columns[position], meaning);
    free(meaning);
    buffer_free(&value);
}

/* A key column of one side, in the type that both are compared in: the source's, or the target's where later
 * writes to the target may not fit the source's. */
static void
add_key(struct buffer *list, const struct plan *p, const struct plan_key_column *k, bool of_source,
        enum rows_comparison comparison)
{
    const struct column *from = &p->source->columns[k->source];
    const struct column *to = k->hidden ? from : table_column_named(p->target, k->shadow_name);
    const struct column *self = of_source ? from : to;
    const struct column *as = comparison == ROWS_PROVEN ? to : from;
    bool differ = strcmp(from->type, to->type) != 0;
    struct buffer value = {0};

    if (differ && as->base_type_oid == NUMERIC) /* equal ones may be written with different scales */
        buffer_add_text(&value, "pg_catalog.trim_scale(");
    buffer_add_text(&value, of_source ? "pgrecast_src." : "pgrecast_row.");
    buffer_add_identifier(&value, of_source ? k->source_name : k->shadow_name);
    if (strcmp(self->type, as->type) != 0)
        buffer_printf(&value, "::%s", as->type);
    if (differ && as->base_type_oid == NUMERIC)
        buffer_add_char(&value, ')');
    buffer_add_text(list, list->len > 0 ? ", " : "");
    add_canonical(list, as, value.data);
    buffer_free(&value);
}

static void
plan_compare(struct plan *p, enum rows_comparison comparison)
{
    struct buffer source = {0};
    struct buffer shadow = {0};

    for (int i = 0; i < p->key_count; i++) {
        add_key(&source, p, &p->key[i], true, comparison);
        add_key(&shadow, p, &p->key[i], false, comparison);
    }
    p->compare_count = p->key_count;
    for (int i = 0; i < p->column_count; i++) {
        char name[16];

        if (!has_counterpart(p, i))
            continue;
        snprintf(name, sizeof(name), "c%d", i + 1);
        add_compared(&source, p, i, "pgrecast_new", name, comparison);
        add_compared(&shadow, p, i, "pgrecast_row", p->columns[i].name, comparison);
        p->compare_count++;
    }
    p->compare_source = buffer_take(&source);
    p->compare_shadow = buffer_take(&shadow);
}

void
rows_plan_compare(struct plan *p, const struct transform *t, enum rows_comparison comparison)
{
    plan_compare_transform(p, t);
    plan_compare(p, comparison);
}
