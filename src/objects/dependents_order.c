/* The objects that depend on the tables of a job, each once, in an order in which they can be created. */
#include "core/mem.h"
#include "dependents_work.h"

struct dependent_item *
dependents_item_of(struct dependents_work *w, const struct dependent *d)
{
    for (int i = 0; i < w->count; i++)
        if (d->class_oid != 0 && w->items[i].d->class_oid == d->class_oid && w->items[i].d->oid == d->oid)
            return &w->items[i];
    return NULL;
}

void
dependents_collect(struct dependents_work *w)
{
    for (int t = 0; t < w->table_count; t++) {
        const struct table *source = w->tables[t].source;

        w->items = mem_array(w->items, (size_t)(w->count + source->dependent_count) + 1, sizeof(*w->items));
        for (int i = 0; i < source->dependent_count; i++) {
            const struct dependent *d = &source->dependents[i];
            struct dependent_item *item = dependents_item_of(w, d);

            if (item == NULL && d->class_oid != 0) {
                item = &w->items[w->count++];
                *item = (struct dependent_item){.d = d};
            }
            if (item == NULL)
                continue;
            item->direct = item->direct || d->direct;
            if (d->not_early != NULL) /* because of this table, whose owner may be another one */
                item->d = d;
        }
    }
}

static void
add_base(struct dependent_item *item, int position)
{
    for (int i = 0; i < item->base_count; i++)
        if (item->bases[i] == position)
            return;
    item->bases = mem_array(item->bases, (size_t)item->base_count + 1, sizeof(*item->bases));
    item->bases[item->base_count++] = position;
}

void
dependents_connect(struct dependents_work *w)
{
    for (int t = 0; t < w->table_count; t++) {
        const struct table *source = w->tables[t].source;

        for (int i = 0; i < source->dependent_count; i++) {
            const struct dependent *d = &source->dependents[i];
            struct dependent_item *item = dependents_item_of(w, d);

            for (int k = 0; item != NULL && k < d->base_count; k++) {
                struct dependent_item *base = dependents_item_of(w, &source->dependents[d->bases[k]]);

                if (base != NULL)
                    add_base(item, (int)(base - w->items));
            }
        }
    }
}

static bool
in_order(const struct dependents_work *w, int count, int position)
{
    for (int i = 0; i < count; i++)
        if (w->order[i] == position)
            return true;
    return false;
}

static bool
bases_in_order(const struct dependents_work *w, int count, const struct dependent_item *item)
{
    for (int i = 0; i < item->base_count; i++)
        if (!in_order(w, count, item->bases[i]))
            return false;
    return true;
}

/*
 * pg_depend has no cycles among objects that can be created again. If it had one, the rest would come in any
 * order.
 */
void
dependents_sort(struct dependents_work *w)
{
    int count = 0, before;

    w->order = mem_alloc(((size_t)w->count + 1) * sizeof(*w->order));
    do {
        before = count;
        for (int i = 0; i < w->count; i++)
            if (!in_order(w, count, i) && bases_in_order(w, count, &w->items[i]))
                w->order[count++] = i;
    } while (count > before);
    for (int i = 0; i < w->count; i++)
        if (!in_order(w, count, i))
            w->order[count++] = i;
}
