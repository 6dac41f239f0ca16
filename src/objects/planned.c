#include "planned.h"

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
