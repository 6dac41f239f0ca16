#include "definitions.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

static int
definitions_compare(const struct definition *item, bool is_relation, uint32_t oid)
{
    if (item->is_relation != is_relation)
        return item->is_relation ? 1 : -1;
    return (item->oid > oid) - (item->oid < oid);
}

/* The position of the first item that is not before the one sought. */
static size_t
lower_bound(const struct definitions *all, bool is_relation, uint32_t oid)
{
    size_t low = 0, high = all->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (definitions_compare(&all->items[middle], is_relation, oid) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct definition *
definitions_find(struct definitions *all, bool is_relation, uint32_t oid)
{
    if (all->last >= all->count || definitions_compare(&all->items[all->last], is_relation, oid) != 0)
        all->last = lower_bound(all, is_relation, oid);
    if (all->last >= all->count || definitions_compare(&all->items[all->last], is_relation, oid) != 0)
        return NULL;
    return &all->items[all->last];
}

static struct definition *
insert(struct definitions *all, bool is_relation, uint32_t oid)
{
    size_t at = lower_bound(all, is_relation, oid);
    struct definition *item;

    if (all->count == all->room) {
        all->room = all->room > 0 ? all->room * 2 : 16;
        all->items = mem_array(all->items, all->room, sizeof(*all->items));
    }
    item = &all->items[at];
    memmove(item + 1, item, (all->count - at) * sizeof(*item));
    memset(item, 0, sizeof(*item));
    item->is_relation = is_relation;
    item->oid = oid;
    all->count++;
    return item;
}

struct definition *
definitions_put(struct definitions *all, const struct message *m)
{
    bool is_relation = m->kind == MESSAGE_RELATION;
    uint32_t oid = is_relation ? m->relation.oid : m->type.oid;
    struct definition *item = definitions_find(all, is_relation, oid);

    if (item == NULL)
        item = insert(all, is_relation, oid);
    item->segment = 0;
    if (is_relation) {
        item->type_count = m->relation.column_count;
        item->types = mem_array(item->types, item->type_count, sizeof(*item->types));
        for (size_t i = 0; i < item->type_count; i++)
            item->types[i] = m->relation.columns[i].type_oid;
    }
    return item;
}

void
definitions_free(struct definitions *all)
{
    for (size_t i = 0; i < all->count; i++) {
        buffer_free(&all->items[i].record);
        free(all->items[i].types);
    }
    free(all->items);
    memset(all, 0, sizeof(*all));
}
