#include "catalog/expressions.h"

#include <stdlib.h>
#include <string.h>

#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "pg/params.h"
#include "sql/sql.h"

void
array_add(struct buffer *array, const char *item)
{
    buffer_add_text(array, array->len == 0 ? "{" : ",");
    if (item == NULL) {
        buffer_add_text(array, "NULL");
        return;
    }
    buffer_add_char(array, '"');
    for (; *item != '\0'; item++) {
        if (*item == '"' || *item == '\\')
            buffer_add_char(array, '\\');
        buffer_add_char(array, *item);
    }
    buffer_add_char(array, '"');
}

const char *
array_end(struct buffer *array)
{
    buffer_add_text(array, array->len == 0 ? "{}" : "}");
    return array->data;
}

static void
use_add(struct uses *uses, const struct result *r, int row)
{
    uses->items = mem_array(uses->items, (size_t)uses->count + 1, sizeof(*uses->items));
    uses->items[uses->count++] = (struct use){
        .part = row_copy(r, row, "part"),
        .kind = row_copy(r, row, "kind"),
        .identity = row_copy(r, row, "identity"),
        .is_cast = row_bool(r, row, "is_cast"),
        .schema = row_copy(r, row, "schema"),
        .name = row_copy(r, row, "name"),
        .arguments = row_copy(r, row, "arguments"),
        .result = row_copy(r, row, "result"),
    };
}

bool
uses_read(struct session *s, const struct object_id *objects, int count, struct uses *uses, struct error *err)
{
    struct buffer classes = {0}, oids = {0};
    struct result r = {0};
    bool ok;

    for (int i = 0; i < count; i++) {
        buffer_printf(&classes, "%s%u", i > 0 ? "," : "{", objects[i].class_oid);
        buffer_printf(&oids, "%s%u", i > 0 ? "," : "{", objects[i].oid);
    }
    ok = session_query(s, &r, err, sql_catalog_expressions, 2, array_end(&classes), array_end(&oids));
    for (int i = 0; ok && i < result_rows(&r); i++)
        use_add(&uses[row_int(&r, i, "at") - 1], &r, i);
    result_free(&r);
    buffer_free(&classes);
    buffer_free(&oids);
    return ok;
}

void
uses_free(struct uses *uses)
{
    for (int i = 0; i < uses->count; i++) {
        struct use *u = &uses->items[i];

        free(u->part);
        free(u->kind);
        free(u->identity);
        free(u->schema);
        free(u->name);
        free(u->arguments);
        free(u->result);
    }
    free(uses->items);
    *uses = (struct uses){0};
}

static bool
is_built_in(const struct use *u)
{
    return u->schema != NULL && strcmp(u->schema, "pg_catalog") == 0;
}

/* An operator of a sort or group follows from the type; it is not found by its name. */
static void
add_schemas(const struct uses *uses, struct string_list *schemas)
{
    for (int i = 0; i < uses->count; i++)
        if (strcmp(uses->items[i].kind, "operator") == 0 && uses->items[i].schema != NULL &&
            !is_built_in(&uses->items[i]))
            list_add_once(schemas, uses->items[i].schema);
}

/* Releases the list. */
static char *
path_of(struct string_list *schemas)
{
    struct buffer path = {0};

    if (schemas->count > 0) {
        buffer_add_text(&path, "pg_catalog");
        for (int i = 0; i < schemas->count; i++)
            buffer_printf(&path, ", %s", schemas->items[i]);
        buffer_add_text(&path, ", pg_temp");
    }
    list_free(schemas);
    return path.data == NULL ? NULL : buffer_take(&path);
}

char *
uses_path(const struct uses *uses)
{
    struct string_list schemas = {0};

    add_schemas(uses, &schemas);
    return path_of(&schemas);
}

char *
table_uses_path(const struct table_uses *uses)
{
    struct string_list schemas = {0};

    for (int i = 0; i < uses->count; i++)
        add_schemas(&uses->items[i].uses, &schemas);
    return path_of(&schemas);
}

/*
 * Relations and types are found by qualified names. For a function, a better match may appear in its own
 * schema.
 */
bool
uses_are_built_in(const struct uses *uses)
{
    for (int i = 0; i < uses->count; i++)
        if (strcmp(uses->items[i].kind, "relation") != 0 && !is_built_in(&uses->items[i]))
            return false;
    return true;
}

void
text_move(char **text, const char *from, const char *to)
{
    struct buffer moved = {0};
    char *prefix = mem_printf("%s.", from);
    const char *at = *text, *found;

    while (at != NULL && (found = strstr(at, prefix)) != NULL) {
        buffer_add(&moved, at, (size_t)(found - at));
        buffer_printf(&moved, "%s.", to);
        at = found + strlen(prefix);
    }
    if (moved.len > 0) {
        buffer_add_text(&moved, at);
        free(*text);
        *text = buffer_take(&moved);
    }
    buffer_free(&moved);
    free(prefix);
}

void
uses_move(struct uses *uses, const char *from, const char *to)
{
    for (int i = 0; i < uses->count; i++) {
        struct use *u = &uses->items[i];

        text_move(&u->identity, from, to);
        text_move(&u->name, from, to);
        text_move(&u->arguments, from, to);
        text_move(&u->result, from, to);
        if (u->schema != NULL && strcmp(u->schema, from) == 0) {
            free(u->schema);
            u->schema = mem_strdup(to);
        }
    }
}

static bool
same_use(const struct use *a, const struct use *b)
{
    return strcmp(a->part, b->part) == 0 && strcmp(a->kind, b->kind) == 0 &&
           strcmp(a->identity, b->identity) == 0;
}

static char *
say_difference(const struct use *before, const struct use *now)
{
    const struct use *either = now != NULL ? now : before;
    const char *kind = strcmp(either->kind, "order") == 0 ? "operator" : either->kind;

    if (now == NULL)
        return mem_printf("its %s no longer uses %s %s", either->part, kind, before->identity);
    if (before == NULL || strcmp(before->part, now->part) != 0)
        return mem_printf("its %s uses %s %s as well", either->part, kind, now->identity);
    return mem_printf("its %s uses %s %s instead of %s", either->part, kind, now->identity, before->identity);
}

static char *
exact_difference(const struct uses *before, const struct uses *now)
{
    for (int i = 0; i < before->count || i < now->count; i++) {
        const struct use *a = i < before->count ? &before->items[i] : NULL;
        const struct use *b = i < now->count ? &now->items[i] : NULL;

        if (a == NULL || b == NULL || !same_use(a, b))
            return say_difference(a, b);
    }
    return NULL;
}

/* The uses without those that follow from the types of the columns alone. */
static struct uses
uses_without_types(const struct uses *uses)
{
    struct uses kept = {.items = mem_array(NULL, (size_t)uses->count + 1, sizeof(*kept.items))};

    for (int i = 0; i < uses->count; i++)
        if (!uses->items[i].is_cast && strcmp(uses->items[i].kind, "collation") != 0)
            kept.items[kept.count++] = uses->items[i];
    return kept;
}

/* Each argument has the type that it had, or one of the new types, to which conversions lead. */
static bool
arguments_fit(const struct use *before, const struct use *now, const struct string_list *types)
{
    const char *a = before->arguments, *b = now->arguments;

    while (a != NULL && b != NULL) {
        size_t a_len = strcspn(a, ","), b_len = strcspn(b, ",");
        char *type = mem_strndup(b, b_len);
        bool fits = (a_len == b_len && strncmp(a, b, a_len) == 0) || list_has(types, type);

        free(type);
        if (!fits)
            return false;
        a = a[a_len] == ',' ? a + a_len + 1 : NULL;
        b = b[b_len] == ',' ? b + b_len + 1 : NULL;
    }
    return a == NULL && b == NULL;
}

static bool
use_fits(const struct use *before, const struct use *now, const struct string_list *types)
{
    return before != NULL && now != NULL && strcmp(before->part, now->part) == 0 &&
           strcmp(before->kind, now->kind) == 0 && name_same(before->name, now->name) &&
           (strcmp(before->identity, now->identity) == 0 || arguments_fit(before, now, types));
}

/*
 * An operator or function over a new type may have a result of a new type. So result types are added until
 * there are no more; then the first use that does not fit is the difference.
 */
static char *
typed_difference(const struct uses *before, const struct uses *now, const struct string_list *new_types)
{
    struct uses a = uses_without_types(before), b = uses_without_types(now);
    struct string_list types = {0};
    char *difference = NULL;
    int known;

    list_add_all(&types, new_types);
    do {
        known = types.count;
        for (int i = 0; i < a.count && i < b.count; i++)
            if (b.items[i].result != NULL && !name_same(a.items[i].result, b.items[i].result) &&
                use_fits(&a.items[i], &b.items[i], &types))
                list_add_once(&types, b.items[i].result);
    } while (types.count > known);
    for (int i = 0; difference == NULL && (i < a.count || i < b.count); i++) {
        const struct use *x = i < a.count ? &a.items[i] : NULL, *y = i < b.count ? &b.items[i] : NULL;

        if (!use_fits(x, y, &types))
            difference = say_difference(x, y);
    }
    list_free(&types);
    free(a.items);
    free(b.items);
    return difference;
}

char *
uses_difference(const struct uses *before, const struct uses *now, const struct string_list *types)
{
    char *difference = exact_difference(before, now);

    if (difference == NULL || types == NULL || types->count == 0)
        return difference;
    free(difference);
    return typed_difference(before, now, types);
}

void
uses_add_type(struct string_list *types, const char *type)
{
    struct buffer bare = {0};
    const char *open = strchr(type, '('), *close = open == NULL ? NULL : strchr(open, ')');
    size_t len;

    if (close != NULL && strspn(open + 1, "0123456789,-") == (size_t)(close - open - 1)) {
        buffer_add(&bare, type, (size_t)(open - type));
        buffer_add_text(&bare, close + 1);
    } else {
        buffer_add_text(&bare, type);
    }
    list_add_once(types, bare.data);
    len = strlen(bare.data);
    if (len > 2 && strcmp(bare.data + len - 2, "[]") == 0) {
        bare.data[len - 2] = '\0';
        list_add_once(types, bare.data);
    }
    buffer_free(&bare);
}
