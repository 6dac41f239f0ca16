#include "rows/reverse_map.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "core/name.h"
#include "parse/expression.h"
#include "parse/statement.h"

#define OPTION "--reverse-map"

const struct reverse_map *
reverse_map_of(const struct reverse_maps *maps, int column)
{
    for (int i = 0; i < maps->count; i++)
        if (maps->items[i].column == column)
            return &maps->items[i];
    return NULL;
}

void
reverse_maps_free(struct reverse_maps *maps)
{
    for (int i = 0; i < maps->count; i++) {
        free(maps->items[i].expr);
        free(maps->items[i].depends_on);
    }
    free(maps->items);
    *maps = (struct reverse_maps){0};
}

/* The column's name in the option; false if there is none. */
static bool
reverse_map_read_column(const char *option, struct typed_name *name, struct error *err)
{
    const char *equals = strchr(option, '=');
    char *typed = equals != NULL ? mem_strndup(option, (size_t)(equals - option)) : NULL;
    bool ok = typed != NULL && typed_name_parse(typed, name, err) && name->schema == NULL;

    free(typed);
    return ok;
}

/* Whether the table has the column, and is the table that the name says, if it says one. */
static bool
is_meant(const struct table *t, const struct typed_name *name)
{
    return (name->schema == NULL || strcmp(name->schema, t->name) == 0) &&
           (name->catalog == NULL || strcmp(name->catalog, t->schema) == 0) &&
           table_column_named(t, name->name) != NULL;
}

/* schema.table.column: a name of three parts, as the user means it, whatever it means to the grammar. */
static int
reverse_map_find_table(const struct plan_set *set, const struct typed_name *name, const char *option,
                       struct error *err)
{
    int found = -1;

    for (int i = 0; i < set->table_count; i++) {
        if (!is_meant(set->tables[i].forward->source, name))
            continue;
        if (found >= 0) {
            error_set(err, ERROR_USAGE, OPTION ": several tables of the job have that column: %s", option);
            error_hint(err, "Say which: TABLE.COLUMN=EXPRESSION, or SCHEMA.TABLE.COLUMN=EXPRESSION.");
            return -1;
        }
        found = i;
    }
    if (found < 0) {
        error_set(err, ERROR_USAGE, OPTION ": no table of the job has that column: %s", option);
        error_hint(err,
                   "The column is one of an original, the expression over the columns of its new table.");
    }
    return found;
}

int
reverse_map_table(const struct plan_set *set, const char *option, char **of_table, struct error *err)
{
    const char *equals = strchr(option, '=');
    char *typed = equals != NULL ? mem_strndup(option, (size_t)(equals - option)) : NULL;
    struct typed_name name = {0};
    int found = 0;

    if (typed == NULL || !typed_name_parse(typed, &name, err)) {
        error_set(err, ERROR_USAGE, OPTION " wants COLUMN=EXPRESSION: %s", option);
        found = -1;
    } else if (set->table_count > 1 || name.schema != NULL) {
        found = reverse_map_find_table(set, &name, option, err);
    }
    if (found >= 0 && name.schema != NULL) {
        char *column = name_quoted(name.name);

        *of_table = mem_printf("%s%s", column, equals);
        free(column);
    } else if (found >= 0) {
        *of_table = mem_strdup(option);
    }
    typed_name_free(&name);
    free(typed);
    return found;
}

bool
reverse_map_same_column(const char *a, const char *b)
{
    struct typed_name one = {0}, other = {0};
    struct error ignored = {0};
    bool same = reverse_map_read_column(a, &one, &ignored) && reverse_map_read_column(b, &other, &ignored) &&
                strcmp(one.name, other.name) == 0;

    error_clear(&ignored);
    typed_name_free(&one);
    typed_name_free(&other);
    return same;
}

/* The column of the original that the option is for: its position, -1 with the error set. */
static int
find_column(const struct reverse_maps *maps, const struct plan *forward, const char *option,
            struct error *err)
{
    struct typed_name name = {0};
    int found = -1;

    if (!reverse_map_read_column(option, &name, err)) {
        error_set(err, ERROR_USAGE, OPTION " wants COLUMN=EXPRESSION: %s", option);
        goto out;
    }
    for (int i = 0; i < forward->source->column_count; i++)
        if (strcmp(forward->source->columns[i].name, name.name) == 0)
            found = i;
    if (found < 0) {
        error_set(err, ERROR_USAGE, OPTION ": table %s has no column \"%s\"", forward->names.source_sql,
                  name.name);
        error_hint(err,
                   "The column is one of the original, the expression over the columns of the new table.");
    } else if (forward->source->columns[found].generated != '\0') {
        error_set(err, ERROR_USAGE, OPTION ": column \"%s\" is computed by the server", name.name);
        found = -1;
    } else if (reverse_map_of(maps, found) != NULL) {
        error_set(err, ERROR_USAGE, OPTION " was given twice for column \"%s\"", name.name);
        found = -1;
    }
out:
    typed_name_free(&name);
    return found;
}

/* Whether the original's column accepts the type that the expression gives. */
static bool
check_assignment(const struct view_place *v, const struct column *c, const char *view, const char *option,
                 struct error *err)
{
    char *clone = name_qualified(v->schema, v->table);
    bool ok = session_executef(v->s, err, "CREATE TABLE %s.pgrecast_probe (c1 %s)", v->schema, c->type);

    if (ok && !session_executef(v->s, err, "EXPLAIN INSERT INTO %s.pgrecast_probe %s FROM %s", v->schema,
                                view, clone))
        ok = view_blame(v->schema, option, err);
    ok = ok && session_executef(v->s, err, "DROP TABLE %s.pgrecast_probe", v->schema);
    free(clone);
    return ok;
}

/*
 * The server's text of the expression over a row with only the columns that it reads. A generated column that
 * nothing reads is not in the change stream's rows.
 */
static char *
over_row(const struct plan *forward, const char *view, const bool *depends_on)
{
    struct buffer sql = {0};
    const char *separator = "";

    buffer_printf(&sql, "(%s FROM (SELECT ", view);
    for (int i = 0; i < forward->target->column_count; i++) {
        if (!depends_on[i])
            continue;
        buffer_printf(&sql, "%spgrecast_src.", separator);
        buffer_add_identifier(&sql, forward->target->columns[i].name);
        separator = ", ";
    }
    buffer_add_text(&sql, ") AS ");
    buffer_add_identifier(&sql, forward->source->name);
    buffer_add_char(&sql, ')');
    return buffer_take(&sql);
}

/* The columns may have another order than their numbers. */
static int
last_number(const struct table *t)
{
    int last = 0;

    for (int i = 0; i < t->column_count; i++)
        last = t->columns[i].attnum > last ? t->columns[i].attnum : last;
    return last;
}

static bool
read_map(struct reverse_map *map, const char *option, const struct plan *forward,
         const struct view_place *place, struct error *err)
{
    const struct table *target = forward->target;
    const char *typed = strchr(option, '=') + 1;
    int last = last_number(target);
    bool *reads = mem_alloc((size_t)last + 2);
    char *list = mem_printf("SELECT (%s\n) AS c1", typed);
    char *view = NULL;
    bool ok = expression_check(typed, err) || error_context(err, OPTION " '%s'", option);

    ok = ok && view_read(place, list, option, OPTION " expression", &view, reads, last, err) &&
         check_assignment(place, &forward->source->columns[map->column], view, option, err);
    if (ok) {
        map->depends_on = mem_alloc((size_t)target->column_count + 1);
        for (int i = 0; i < target->column_count; i++)
            map->depends_on[i] = reads[target->columns[i].attnum];
        map->expr = over_row(forward, view, map->depends_on);
    }
    free(view);
    free(list);
    free(reads);
    return ok;
}

bool
reverse_maps_read(struct reverse_maps *maps, const struct string_list *options, const struct plan *forward,
                  const struct view_place *place, struct error *err)
{
    *maps = (struct reverse_maps){.items = mem_alloc(((size_t)options->count + 1) * sizeof(*maps->items))};
    for (int i = 0; i < options->count; i++) {
        int column = find_column(maps, forward, options->items[i], err);

        if (column < 0)
            return false;
        maps->items[maps->count++] = (struct reverse_map){.column = column};
        if (!read_map(&maps->items[maps->count - 1], options->items[i], forward, place, err))
            return false;
    }
    return true;
}
