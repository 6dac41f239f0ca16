#include "rename.h"

#include <stdlib.h>
#include <string.h>

#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"

static void
rename_add_rename(struct string_list *out, const char *table, const char *from, const char *to)
{
    char *quoted_from = name_quoted(from), *quoted_to = name_quoted(to);

    list_addf(out, "ALTER TABLE %s RENAME COLUMN %s TO %s", table, quoted_from, quoted_to);
    free(quoted_from);
    free(quoted_to);
}

static const char *
old_name(const struct table *source, const struct column *c)
{
    return c->attnum <= source->column_count ? source->columns[c->attnum - 1].name : NULL;
}

/*
 * The column's name is, or will be, that of another column, or was that of a column that is dropped: it first
 * gets a temporary name.
 */
static bool
is_in_the_way(const struct table *source, const struct column *c)
{
    for (int i = 0; i < source->column_count; i++)
        if (i + 1 != c->attnum && strcmp(source->columns[i].name, c->name) == 0)
            return true;
    return false;
}

void
renames_plan(const struct table *source, const struct table *after, const char *table,
             struct string_list *to_before, struct string_list *to_after)
{
    struct string_list back = {0};

    for (int i = 0; i < after->column_count; i++) {
        const struct column *c = &after->columns[i];
        char *aside;

        if (!is_in_the_way(source, c))
            continue;
        aside = mem_printf("pgrecast_column_%d", c->attnum);
        rename_add_rename(to_before, table, c->name, aside);
        rename_add_rename(&back, table, aside, c->name);
        free(aside);
    }
    for (int i = 0; i < after->column_count; i++) {
        const struct column *c = &after->columns[i];
        const char *old = old_name(source, c);
        char *aside;

        if (old == NULL || strcmp(old, c->name) == 0)
            continue;
        aside = is_in_the_way(source, c) ? mem_printf("pgrecast_column_%d", c->attnum) : mem_strdup(c->name);
        rename_add_rename(to_before, table, aside, old);
        rename_add_rename(to_after, table, old, aside);
        free(aside);
    }
    list_add_all(to_after, &back);
    list_free(&back);
}
