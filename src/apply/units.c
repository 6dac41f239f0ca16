#include "units.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* The first entry of the set that entry i is in. */
static int
root_of(int *parent, int i)
{
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

/* parent[i]: the first entry of the unit of entry i. */
static void
link_entries(int *parent, const struct batch *b)
{
    for (int i = 0; i < b->entry_count; i++)
        parent[i] = i;
    for (int i = 0; i < b->entry_count; i++) {
        int base = b->entries[i].base;
        int one = root_of(parent, i), other = base == BATCH_NO_BASE ? one : root_of(parent, base);

        if (one < other)
            parent[other] = one;
        else
            parent[one] = other;
    }
    for (int i = 0; i < b->entry_count; i++)
        parent[i] = root_of(parent, i);
}

/* Number the units whose having rows is as asked; size: entries by first entry of the unit. */
static void
number_units(struct units *u, const int *size, const bool *rows, bool with_rows, int entry_count, int *number)
{
    for (int i = 0; i < entry_count; i++) {
        if (size[i] == 0 || rows[i] != with_rows)
            continue;
        number[i] = u->count++;
        u->starts[u->count] = u->starts[u->count - 1] + size[i];
    }
}

void
units_find(struct units *u, const struct batch *b)
{
    size_t n = (size_t)b->entry_count + 1;
    int *first = mem_array(NULL, n, sizeof(*first)), *size = mem_alloc(n * sizeof(*size));
    int *number = mem_alloc(n * sizeof(*number)), *filled = mem_alloc(n * sizeof(*filled));
    bool *rows = mem_alloc(n * sizeof(*rows));

    units_free(u);
    u->starts = mem_alloc(n * sizeof(*u->starts));
    u->entries = mem_alloc(n * sizeof(*u->entries));
    u->unit_of = mem_alloc(n * sizeof(*u->unit_of));
    link_entries(first, b);
    for (int i = 0; i < b->entry_count; i++) {
        size[first[i]]++;
        rows[first[i]] = rows[first[i]] || b->entries[i].row;
    }
    number_units(u, size, rows, false, b->entry_count, number);
    number_units(u, size, rows, true, b->entry_count, number);
    for (int i = 0; i < b->entry_count; i++) {
        int unit = number[first[i]];

        u->unit_of[i] = unit;
        u->entries[u->starts[unit] + filled[unit]++] = i;
    }
    free(first);
    free(size);
    free(number);
    free(filled);
    free(rows);
}

void
units_free(struct units *u)
{
    free(u->starts);
    free(u->entries);
    free(u->unit_of);
    memset(u, 0, sizeof(*u));
}
