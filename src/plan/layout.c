#include "layout.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/expressions.h"
#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "sql/sql.h"

#define ROWS_MEASURED 1000
#define HEADER 23 /* SizeofHeapTupleHeader (htup_details.h) */
#define SHORT_MOST                                                                                           \
    127 /* a value of variable length up to this has a header of one byte, and no alignment … */
#define TOAST_LEAST 2000 /* … and one from about here on is stored elsewhere, with a pointer in the row … */
#define TOAST_POINTER 18 /* … of this length, also without alignment (postgres.h) */

/* A column of the new table as it lies in a row. */
struct layout_column {
    struct column *column;
    int length; /* -1: variable */
    int alignment;
    bool virtual; /* takes no room */
    int source;   /* position in the source; -1: added */
};

static bool
is_fixed(const struct layout_column *c)
{
    return c->length > 0 && !c->virtual;
}

/* Fixed before variable, wide before narrow, and of these what fills its alignment before what does not. */
static int
rank(const struct layout_column *c)
{
    if (!is_fixed(c))
        return 100;
    return 10 * (8 / c->alignment) + (c->length % c->alignment != 0);
}

/* Stable: columns of one rank keep their order. */
static void
sort_columns(const struct layout_column *from, struct layout_column *to, int count)
{
    for (int i = 0; i < count; i++) {
        int at = i;

        for (; at > 0 && rank(&to[at - 1]) > rank(&from[i]); at--)
            to[at] = to[at - 1];
        to[at] = from[i];
    }
}

static bool
read_columns(struct session *s, const struct plan *p, struct table *after, struct layout_column *columns,
             struct error *err)
{
    struct params params = {0};
    struct result r = {0};
    bool ok;

    params_uint(&params, after->oid);
    ok = session_query_with(s, &r, err, sql_plan_column_layout, &params);
    for (int i = 0; ok && i < after->column_count; i++) {
        struct column *c = &after->columns[i];

        columns[i] = (struct layout_column){
            .column = c,
            .virtual = c->generated == 'v',
            .source = c->attnum <= p->source->column_count ? c->attnum - 1 : -1,
        };
        for (int k = 0; k < result_rows(&r); k++)
            if (row_int(&r, k, "attnum") == c->attnum) {
                columns[i].length = (int)row_int(&r, k, "attlen");
                columns[i].alignment = (int)row_int(&r, k, "alignment");
            }
    }
    result_free(&r);
    return ok;
}

static bool
has_new_order(const struct layout_column *columns, const struct table *t)
{
    for (int i = 0; i < t->column_count; i++)
        if (columns[i].column != &t->columns[i])
            return true;
    return false;
}

static int64_t
align(int64_t offset, int64_t alignment)
{
    return (offset + alignment - 1) / alignment * alignment;
}

/* sizes: of the source's columns, -1: NULL; NULL: a row without NULLs, with short values of variable length. */
static int64_t
row_bytes(const struct layout_column *columns, int count, const int64_t *sizes)
{
    int64_t at = 0;
    bool has_null = false;

    for (int i = 0; i < count; i++) {
        const struct layout_column *c = &columns[i];
        int64_t size = sizes != NULL && c->source >= 0 ? sizes[c->source] : 1;

        if (c->virtual || size < 0) {
            has_null = true;
        } else if (is_fixed(c)) {
            at = align(at, c->alignment) + c->length;
        } else if (size >= TOAST_LEAST) {
            at += TOAST_POINTER;
        } else {
            at = (size > SHORT_MOST ? align(at, c->alignment) : at) + size;
        }
    }
    return align(HEADER + (has_null ? (count + 7) / 8 : 0), 8) + align(at, 8);
}

/* One column for each of the source's, in their order: its size in the row, or NULL. */
static char *
sizes_select(const struct table *source, const char *source_sql)
{
    struct buffer sql = {0};

    for (int i = 0; i < source->column_count; i++) {
        buffer_add_text(&sql, i == 0 ? "SELECT " : ", ");
        if (source->columns[i].generated == 'v') { /* would be computed */
            buffer_add_text(&sql, "NULL");
            continue;
        }
        buffer_add_text(&sql, "pg_catalog.pg_column_size(pgrecast_src.");
        buffer_add_identifier(&sql, source->columns[i].name);
        buffer_add_char(&sql, ')');
    }
    buffer_printf(&sql, " FROM ONLY %s AS pgrecast_src LIMIT %d", source_sql, ROWS_MEASURED);
    return buffer_take(&sql);
}

static void
note_saved(const struct plan *p, double before, double after, int rows, struct string_list *notes)
{
    char *of = rows == 0 ? mem_strdup("in a row without NULLs") : mem_printf("on average of %d rows", rows);

    if (after < before)
        list_addf(notes,
                  "packing the columns saves %.1f bytes per row: %.1f instead of %.1f after MAXALIGN, %s",
                  before - after, after, before, of);
    else
        list_addf(notes,
                  "packing the columns gains nothing: a row takes %.1f bytes after MAXALIGN, and %.1f in the "
                  "present order, %s",
                  after, before, of);
    if (after < before && p->source->estimated_rows > 0)
        list_addf(notes, "that is about %.1f MB of the table",
                  (before - after) * (double)p->source->estimated_rows / 1048576);
    free(of);
}

static bool
measure_rows(struct session *s, const struct plan *p, const struct layout_column *was,
             const struct layout_column *is, int count, struct string_list *notes, struct error *err)
{
    char *sql = sizes_select(p->source, p->names.source_sql);
    int64_t *sizes = mem_alloc((size_t)p->source->column_count * sizeof(*sizes) + 1);
    int64_t before = 0, after = 0;
    struct result r = {0};
    bool ok = session_query(s, &r, err, sql, 0);
    int rows = ok ? result_rows(&r) : 0;

    for (int i = 0; i < rows; i++) {
        for (int k = 0; k < p->source->column_count; k++) {
            const char *text = result_text(&r, i, k);

            sizes[k] = text == NULL ? -1 : strtoll(text, NULL, 10);
        }
        before += row_bytes(was, count, sizes);
        after += row_bytes(is, count, sizes);
    }
    if (rows == 0) {
        before = row_bytes(was, count, NULL);
        after = row_bytes(is, count, NULL);
    }
    if (ok)
        note_saved(p, (double)before / (rows > 0 ? rows : 1), (double)after / (rows > 0 ? rows : 1), rows,
                   notes);
    result_free(&r);
    free(sizes);
    free(sql);
    return ok;
}

/* What would find other columns than before, by their place. */
static bool
refuse_users(struct session *s, const struct table *source, struct string_list *reasons, struct error *err)
{
    struct buffer classes = {0}, oids = {0};
    struct params params = {0};
    struct result r = {0};
    bool ok;

    for (int i = 0; i < source->dependent_count; i++) {
        const struct dependent *d = &source->dependents[i];
        char text[16];

        snprintf(text, sizeof(text), "%u", d->class_oid);
        array_add(&classes, text);
        snprintf(text, sizeof(text), "%u", d->oid);
        array_add(&oids, text);
        if (d->class_oid != 0 && d->direct && !d->replaceable && strcmp(d->kind, "function") == 0)
            list_addf(reasons, "%s takes or gives rows of the table, whose columns would get another order",
                      d->description);
    }
    params_uint(&params, source->oid);
    params_text(&params, array_end(&classes));
    params_text(&params, array_end(&oids));
    ok = session_query_with(s, &r, err, sql_plan_order_users, &params);
    for (int i = 0; ok && i < result_rows(&r); i++)
        list_addf(reasons,
                  "%s uses the row as a whole, or columns by their place, and the columns would get another "
                  "order",
                  row_text(&r, i, "description"));
    result_free(&r);
    buffer_free(&classes);
    buffer_free(&oids);
    return ok;
}

/* The length of the column's name at the beginning of a list, as the server writes it; 0: something else is there. */
static size_t
name_length(const char *list)
{
    size_t len = strspn(list, "abcdefghijklmnopqrstuvwxyz0123456789_");

    if (list[0] == '"')
        for (len = 1; list[len] != '\0' && (list[len] != '"' || list[len + 1] == '"');)
            len += list[len] == '"' ? 2 : 1;
    len += list[0] == '"' ? 1 : 0;
    return list[len] == '\0' || strncmp(list + len, ", ", 2) == 0 ? len : 0;
}

static bool
names_column(const char *name, size_t len, const char *column)
{
    char *quoted = name_quoted(column);
    bool same = (strlen(column) == len && strncmp(name, column, len) == 0) ||
                (strlen(quoted) == len && strncmp(name, quoted, len) == 0);

    free(quoted);
    return same;
}

/* The server writes the columns of a statistics object in the table's order, and expressions after them. */
static void
arrange_statistics(struct extended_statistics *x, const struct table *t)
{
    const char *list = x->definition[0] == '(' ? strstr(x->definition, ") ON ") : x->definition;
    struct buffer text = {0};
    const char *rest;
    size_t len;

    if (list == NULL)
        return;
    list += list == x->definition ? strlen("ON ") : strlen(") ON ");
    buffer_add(&text, x->definition, (size_t)(list - x->definition));
    for (rest = list; (len = name_length(rest)) > 0; rest += strspn(rest, ", "))
        rest += len;
    for (int i = 0; i < t->column_count; i++)
        for (const char *at = list; at < rest; at += len, at += strspn(at, ", ")) {
            len = name_length(at);
            if (names_column(at, len, t->columns[i].name))
                buffer_printf(&text, "%s%.*s", text.len > (size_t)(list - x->definition) ? ", " : "",
                              (int)len, at);
        }
    if (*rest != '\0')
        buffer_printf(&text, "%s%s", rest > list ? ", " : "", rest);
    free(x->definition);
    x->definition = buffer_take(&text);
}

/* Give the table's columns the order, in which all of them are. */
static void
arrange(struct table *t, const struct layout_column *order)
{
    struct column *columns = mem_alloc((size_t)t->column_count * sizeof(*columns) + 1);

    for (int i = 0; i < t->column_count; i++)
        columns[i] = *order[i].column;
    memcpy(t->columns, columns, (size_t)t->column_count * sizeof(*columns));
    free(columns);
    for (int i = 0; i < t->statistics_count; i++)
        arrange_statistics(&t->statistics[i], t);
}

bool
layout_pack(struct session *s, struct plan *p, struct table *after, bool measure, struct string_list *notes,
            struct string_list *reasons, struct error *err)
{
    size_t size = (size_t)after->column_count * sizeof(struct layout_column) + 1;
    struct layout_column *was = mem_alloc(size), *is = mem_alloc(size);
    bool ok = read_columns(s, p, after, was, err);

    if (ok)
        sort_columns(was, is, after->column_count);
    if (ok && !has_new_order(is, after)) {
        list_addf(notes, "packing the columns gains nothing: they are in that order already");
    } else if (ok) {
        ok = refuse_users(s, p->source, reasons, err) &&
             (!measure || measure_rows(s, p, was, is, after->column_count, notes, err));
        list_addf(&p->advice.warnings,
                  "the columns get another order: statements that take them by their place (SELECT *, INSERT "
                  "and COPY without a list of columns, NEW.* in a trigger) get or write other columns than "
                  "before");
        if (ok)
            arrange(after, is);
    }
    free(was);
    free(is);
    return ok;
}

bool
layout_is_changed(const struct table *target)
{
    for (int i = 1; i < target->column_count; i++)
        if (target->columns[i].attnum < target->columns[i - 1].attnum)
            return true;
    return false;
}
