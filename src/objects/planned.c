#include "planned.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

void
planned_add(struct planned_list *list, enum planned_kind kind, enum lock_mode lock, char *sql)
{
    list->items = mem_array(list->items, (size_t)list->count + 1, sizeof(*list->items));
    list->items[list->count++] = (struct planned){.kind = kind, .lock = lock, .sql = sql};
}

void
planned_add_once(struct planned_list *list, enum planned_kind kind, enum lock_mode lock, const char *sql)
{
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->items[i].sql, sql) == 0)
            return;
    planned_add(list, kind, lock, mem_strdup(sql));
}

void
planned_add_all(struct planned_list *list, enum planned_kind kind, const struct string_list *from)
{
    for (int i = 0; i < from->count; i++)
        planned_add(list, kind, LOCK_NONE, mem_strdup(from->items[i]));
}

int
planned_end(const struct planned_list *list, enum planned_kind kind)
{
    int end = list->count;

    while (end > 0 && list->items[end - 1].kind != kind)
        end--;
    return end;
}

void
planned_insert_all(struct planned_list *list, int at, enum planned_kind kind, const struct string_list *from)
{
    struct planned *items;

    list->items = mem_array(list->items, (size_t)(list->count + from->count) + 1, sizeof(*list->items));
    items = list->items + at;
    memmove(items + from->count, items, (size_t)(list->count - at) * sizeof(*items));
    for (int i = 0; i < from->count; i++)
        items[i] = (struct planned){.kind = kind, .lock = LOCK_NONE, .sql = mem_strdup(from->items[i])};
    list->count += from->count;
}

void
planned_remove(struct planned_list *list, enum planned_kind kind)
{
    int kept = 0;

    for (int i = 0; i < list->count; i++) {
        if (list->items[i].kind != kind) {
            list->items[kept++] = list->items[i];
            continue;
        }
        free(list->items[i].sql);
        free(list->items[i].by_hand);
    }
    list->count = kept;
}

static bool
is_run(const struct planned *items, enum planned_kind kind, const struct string_list *run)
{
    for (int i = 0; i < run->count; i++)
        if (items[i].kind != kind || strcmp(items[i].sql, run->items[i]) != 0)
            return false;
    return true;
}

bool
planned_remove_run(struct planned_list *list, enum planned_kind kind, const struct string_list *run)
{
    int at = 0;

    while (at + run->count <= list->count && !is_run(list->items + at, kind, run))
        at++;
    if (run->count == 0 || at + run->count > list->count)
        return false;
    for (int i = at; i < at + run->count; i++) {
        free(list->items[i].sql);
        free(list->items[i].by_hand);
    }
    list->count -= run->count;
    memmove(list->items + at, list->items + at + run->count,
            (size_t)(list->count - at) * sizeof(*list->items));
    return true;
}
