#include "rows/rows.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "pg/settings.h"
#include "rows/filter.h"

enum { JSON = 114, BPCHAR = 1042, NUMERIC = 1700, JSONB = 3802 };

static bool
default_stayed(const struct column_value *v, const struct column *c)
{
    if (strcmp(v->made_by, "identity") == 0)
        return c->identity != '\0';
    /*
     * the name of a new sequence is written differently by now, so a change of the default cannot be seen
     * here
     */
    return c->default_expr != NULL &&
           (strcmp(v->made_by, c->default_expr) == 0 || strstr(v->made_by, "nextval(") == v->made_by);
}

bool
rows_plan_columns(struct plan *p, const struct transform *t, struct error *err)
{
    p->rows.columns = mem_alloc(((size_t)p->target->column_count + 1) * sizeof(*p->rows.columns));
    p->rows.column_count = p->target->column_count;
    for (int i = 0; i < p->rows.column_count; i++) {
        const struct column *c = &p->target->columns[i];
        const struct column_value *v = transform_value(t, c->attnum);
        struct plan_column *column = &p->rows.columns[i];

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
add_from(struct buffer *sql, const struct plan *p, const struct transform *t)
{
    if (t->from != NULL)
        buffer_printf(sql, " FROM (%s) AS p", t->from);
    if (p->filter == NULL)
        return;
    buffer_add_text(sql, t->from != NULL ? " CROSS JOIN " : " FROM ");
    filter_add_item(sql, p);
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

    p->rows.insert_origin =
        mem_alloc(((size_t)p->rows.column_count + (size_t)p->key_count) * sizeof(int) + 1);
    for (int i = 0; i < p->rows.column_count; i++) {
        const struct column_value *v = transform_value(t, p->target->columns[i].attnum);

        if (p->rows.columns[i].origin == COLUMN_GENERATED || p->rows.columns[i].origin == COLUMN_DEFAULT)
            continue;
        add_name(&names, p->rows.columns[i].name);
        buffer_printf(&sql, "%s%s AS c%d", p->rows.insert_count == 0 ? "SELECT " : ", ", v->expr, i + 1);
        p->rows.insert_origin[p->rows.insert_count++] = i;
    }
    for (int i = 0; i < p->key_count; i++) {
        if (!p->key[i].hidden)
            continue;
        add_name(&names, p->key[i].shadow_name);
        buffer_printf(&sql, "%spgrecast_src.", p->rows.insert_count == 0 ? "SELECT " : ", ");
        buffer_add_identifier(&sql, p->key[i].source_name);
        buffer_printf(&sql, " AS k%d", i + 1);
        p->rows.insert_origin[p->rows.insert_count++] = -1 - i;
    }
    add_from(&sql, p, t);
    p->rows.insert_columns = buffer_take(&names);
    p->rows.transform_insert = buffer_take(&sql);
}

/* Each row has a value of its own that cannot be derived from the source's row. */
static bool
is_own(const struct plan_column *c)
{
    return c->origin == COLUMN_DEFAULT || c->kept;
}

/*
 * Whether the source has a value to compare the column with: not if it is made once per row, or computed from
 * such a column.
 */
static bool
has_counterpart(const struct plan *p, int position)
{
    const struct column *c = &p->target->columns[position];

    if (is_own(&p->rows.columns[position]))
        return false;
    for (int i = 0; c->generated != '\0' && i < c->generated_from_count; i++)
        for (int k = 0; k < p->rows.column_count; k++)
            if (p->target->columns[k].attnum == c->generated_from[i] && is_own(&p->rows.columns[k]))
                return false;
    return true;
}

/* Whether a generated column is compared with the value that the source's row holds. */
static bool
is_compared_stored(const struct plan *p, const struct transform *t, int position)
{
    const struct column_value *v = transform_value(t, p->target->columns[position].attnum);

    return p->rows.columns[position].origin == COLUMN_GENERATED && v != NULL && v->stored;
}

/*
 * The final row under its final names: the values that generated columns are computed from, and the stored
 * ones.
 */
static char *
final_row(const struct plan *p, const struct transform *t)
{
    struct buffer sql = {0};

    for (int i = 0; i < p->rows.column_count; i++) {
        const struct column_value *v = transform_value(t, p->target->columns[i].attnum);
        bool made =
            p->rows.columns[i].origin == COLUMN_GENERATED || p->rows.columns[i].origin == COLUMN_DEFAULT;

        if (made && !is_compared_stored(p, t, i))
            continue;
        buffer_add_text(&sql, sql.len == 0 ? "SELECT " : ", ");
        if (v->cast != NULL)
            buffer_printf(&sql, "CAST(%s AS %s)", v->expr, v->cast);
        else
            buffer_add_text(&sql, v->expr);
        buffer_add_text(&sql, " AS ");
        buffer_add_identifier(&sql, p->rows.columns[i].name);
    }
    if (sql.len == 0)
        buffer_add_text(&sql, "SELECT");
    add_from(&sql, p, t);
    return buffer_take(&sql);
}

static void
add_computed(struct buffer *sql, const struct plan *p, int position)
{
    buffer_printf(sql, "CAST(%s AS %s)", p->target->columns[position].default_expr,
                  p->rows.columns[position].type);
}

static void
plan_compare_transform(struct plan *p, const struct transform *t)
{
    char *row = final_row(p, t);
    struct buffer sql = {0};

    for (int i = 0; i < p->rows.column_count; i++) {
        if (!has_counterpart(p, i)) {
            list_add(&p->rows.compare.left_out, mem_strdup(p->rows.columns[i].name));
            continue;
        }
        buffer_add_text(&sql, sql.len == 0 ? "SELECT " : ", ");
        if (p->rows.columns[i].origin == COLUMN_GENERATED && !is_compared_stored(p, t, i))
            add_computed(&sql, p, i);
        else
            buffer_add_identifier(&sql, p->rows.columns[i].name);
        buffer_printf(&sql, " AS c%d", i + 1);
    }
    if (sql.len == 0)
        buffer_add_text(&sql, "SELECT");
    buffer_printf(&sql, " FROM (%s) AS ", row);
    buffer_add_identifier(&sql, p->source->name);
    p->rows.compare.transform = buffer_take(&sql);
    free(row);
}

/*
 * Side by side, what a row holds in its stored generated columns and what their expressions give now, in a
 * form that can be compared for every type.
 */
static void
plan_stored(struct plan *p, const struct transform *t)
{
    char *row = final_row(p, t);
    struct buffer sql = {0};

    for (int i = 0; i < p->rows.column_count; i++) {
        if (!is_compared_stored(p, t, i) || !has_counterpart(p, i))
            continue;
        list_add(&p->rows.compare.stored, mem_strdup(p->rows.columns[i].name));
        buffer_add_text(&sql, sql.len == 0 ? "SELECT ROW(" : ", ROW(");
        buffer_add_identifier(&sql, p->rows.columns[i].name);
        buffer_add_text(&sql, ")::pg_catalog.text IS DISTINCT FROM ROW(");
        add_computed(&sql, p, i);
        buffer_printf(&sql, ")::pg_catalog.text AS d%d", p->rows.compare.stored.count);
    }
    if (sql.len > 0) {
        buffer_printf(&sql, " FROM (%s) AS ", row);
        buffer_add_identifier(&sql, p->source->name);
        p->rows.compare.stored_differ = buffer_take(&sql);
    }
    free(row);
    buffer_free(&sql);
}

/* Base types whose binary form is always the same for the same value */
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
is_float(const struct column *c)
{
    return c->base_type_oid == 700 || c->base_type_oid == 701;
}

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

/*
 * A value in a form that is equal if and only if the value is: the type's own binary form, or the value's
 * text within a row, which distinguishes NULL. If a setting would leave out digits, the text is made without
 * that setting.
 */
static void
add_canonical_form(struct buffer *list, const struct plan *p, const struct column *c, const char *value)
{
    if (is_binary(c))
        buffer_add_text(list, value);
    else if (is_float(c)) /* a NaN has more than one binary form */
        buffer_printf(list, "CASE WHEN %s = 'NaN' THEN 'NaN' ELSE %s END", value, value);
    else if (p->rows.compare.texts_differ)
        buffer_printf(list, SESSION_TEXT_FUNCTION "(%s)", value);
    else
        buffer_printf(list, "ROW(%s)::pg_catalog.text", value);
}

/* The binary form contains characters, which the server would convert. */
static bool
has_characters(const struct column *c)
{
    static const oid_t texts[] = {25,   1009, 114,  199,  142,  143,  1042,
                                  1014, 1043, 1015, 3614, 3643, 3802, 3807};

    if (c->typtype == 'e' || c->element_typtype == 'e' || (!is_binary(c) && !is_float(c)))
        return true;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (c->base_type_oid == texts[i])
            return true;
    return false;
}

/* Bytes that are no UTF-8, in a database of another encoding, are compared as they are. */
static void
add_canonical(struct buffer *list, const struct plan *p, const struct column *c, const char *value)
{
    if (p->rows.compare.encoding == NULL || !has_characters(c)) {
        add_canonical_form(list, p, c, value);
        return;
    }
    buffer_printf(list, "pg_catalog.convert_to(%s%s)%s, '%s')",
                  p->rows.compare.texts_differ ? SESSION_TEXT_FUNCTION "(" : "ROW(", value,
                  p->rows.compare.texts_differ ? "" : "::pg_catalog.text", p->rows.compare.encoding);
}

/*
 * What a proof compares of a column whose type changed. Values that were written to the new table after the
 * cutover may be in a form of the new type that the original's type cannot keep (1.50 becomes 1.5), but they
 * mean the same.
 */
static char *
meaning_of(const struct plan *p, int position, const char *value)
{
    const struct column *to = &p->target->columns[position];
    const bool *depends_on = p->rows.columns[position].depends_on;

    for (int i = 0; depends_on != NULL && i < p->source->column_count; i++) {
        if (!depends_on[i] || strcmp(p->source->columns[i].base_type, to->base_type) == 0)
            continue;
        if (to->base_type_oid == NUMERIC)
            return mem_printf("pg_catalog.trim_scale(%s)", value);
        if (to->base_type_oid == BPCHAR) /* trailing spaces are not part of its value */
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
    add_canonical(list, p, &p->target->columns[position], meaning);
    free(meaning);
    buffer_free(&value);
}

/*
 * A key column of one side, in the type that both sides are compared in: the source's type, or the target's
 * if values that were written to the target later may not fit the source's.
 */
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

    if (differ && as->base_type_oid == NUMERIC) /* equal values may be written with different scales */
        buffer_add_text(&value, "pg_catalog.trim_scale(");
    buffer_add_text(&value, of_source ? "pgrecast_src." : "pgrecast_row.");
    buffer_add_identifier(&value, of_source ? k->source_name : k->shadow_name);
    if (strcmp(self->type, as->type) != 0)
        buffer_printf(&value, "::%s", as->type);
    if (differ && as->base_type_oid == NUMERIC)
        buffer_add_char(&value, ')');
    buffer_add_text(list, list->len > 0 ? ", " : "");
    add_canonical(list, p, as, value.data);
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
    p->rows.compare.count = p->key_count;
    for (int i = 0; i < p->rows.column_count; i++) {
        char name[16];

        if (!has_counterpart(p, i))
            continue;
        snprintf(name, sizeof(name), "c%d", i + 1);
        add_compared(&source, p, i, "pgrecast_new", name, comparison);
        add_compared(&shadow, p, i, "pgrecast_row", p->rows.columns[i].name, comparison);
        p->rows.compare.count++;
    }
    p->rows.compare.source = buffer_take(&source);
    p->rows.compare.shadow = buffer_take(&shadow);
}

void
rows_plan_compare(struct plan *p, const struct transform *t, enum rows_comparison comparison)
{
    const struct transform *compared = t->stored != NULL ? t->stored : t;

    p->rows.compare.texts_differ = t->texts_differ;
    p->rows.compare.encoding = mem_strdup(t->encoding);
    plan_compare_transform(p, compared);
    plan_stored(p, compared);
    plan_compare(p, comparison);
}
