#include "row_groups.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* The first entry of the group to which entry i belongs. */
static int
root_of(int *parent, int i)
{
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

/* parent[i]: the first entry of the group of entry i. */
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

/*
 * Number the groups for which "has rows" is as given. size: the number of entries, indexed by the group's
 * first entry.
 */
static void
number_groups(struct row_groups *groups, const int *size, const bool *rows, bool with_rows, int entry_count,
              int *number)
{
    for (int i = 0; i < entry_count; i++) {
        if (size[i] == 0 || rows[i] != with_rows)
            continue;
        number[i] = groups->count++;
        groups->starts[groups->count] = groups->starts[groups->count - 1] + size[i];
    }
}

void
row_groups_find(struct row_groups *groups, const struct batch *b)
{
    size_t n = (size_t)b->entry_count + 1;
    int *first = mem_array(NULL, n, sizeof(*first)), *size = mem_alloc(n * sizeof(*size));
    int *number = mem_alloc(n * sizeof(*number)), *filled = mem_alloc(n * sizeof(*filled));
    bool *rows = mem_alloc(n * sizeof(*rows));

    row_groups_free(groups);
    groups->starts = mem_alloc(n * sizeof(*groups->starts));
    groups->entries = mem_alloc(n * sizeof(*groups->entries));
    groups->group_of = mem_alloc(n * sizeof(*groups->group_of));
    link_entries(first, b);
    for (int i = 0; i < b->entry_count; i++) {
        size[first[i]]++;
        rows[first[i]] = rows[first[i]] || b->entries[i].row;
    }
    number_groups(groups, size, rows, false, b->entry_count, number);
    number_groups(groups, size, rows, true, b->entry_count, number);
    for (int i = 0; i < b->entry_count; i++) {
        int group = number[first[i]];

        groups->group_of[i] = group;
        groups->entries[groups->starts[group] + filled[group]++] = i;
    }
    free(first);
    free(size);
    free(number);
    free(filled);
    free(rows);
}

void
row_groups_free(struct row_groups *groups)
{
    free(groups->starts);
    free(groups->entries);
    free(groups->group_of);
    memset(groups, 0, sizeof(*groups));
}
