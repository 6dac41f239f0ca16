#include "rows/back_key.h"

#include <string.h>

#include "core/list.h"
#include "core/mem.h"
#include "rows/key.h"
#include "rows/types.h"

static int
position_of(const struct table *t, int attnum)
{
    for (int i = 0; i < t->column_count; i++)
        if (t->columns[i].attnum == attnum)
            return i;
    return -1;
}

/* The column of the original with the same values as the new table's key column, or -1 with a reason. */
static int
original_of(const struct plan *forward, const struct transform *transform, const struct reverse_maps *maps,
            const struct column *made, struct obstacles *obstacles)
{
    int i = made->attnum - 1;
    const char *reason = NULL;

    if (i >= forward->source->column_count)
        reason = "the original has no such column";
    else if (reverse_map_of(maps, i) != NULL)
        reason = "a --reverse-map gives the original other values in it";
    else if (forward->source->columns[i].generated != '\0' || !inverse_is_direct(transform, i) ||
             !types_keep_keys(&forward->source->columns[i], made))
        reason = "the change does not leave each value as it is";
    if (reason == NULL)
        return i;
    list_addf(&obstacles->reasons,
              "a rollback would not be possible: rows of the new table are found by column \"%s\", and in "
              "the original they cannot "
              "be: %s",
              made->name, reason);
    return -1;
}

static int
number_in(const struct index *x, int attnum)
{
    for (int i = 0; i < x->key_count; i++)
        if (x->key_attnums[i] == attnum)
            return i;
    return -1;
}

/* Whether the index has only columns of the key, all of them or some. */
static bool
serves(const struct table *t, const struct index *x, const struct back_key *key)
{
    if (!x->unique || x->partial || !x->immediate || !x->valid || key_is_temporal(t, x))
        return false;
    for (int i = 0; i < x->key_count; i++) {
        bool found = false;

        for (int k = 0; k < key->count && !found; k++)
            found = t->columns[key->items[k].original].attnum == x->key_attnums[i];
        if (!found)
            return false;
    }
    return true;
}

/* The index with most of the key's columns: the remaining ones are compared row by row. */
static const struct index *
choose_index(const struct table *t, const struct back_key *key)
{
    const struct index *best = NULL;

    for (int i = 0; i < t->index_count; i++)
        if (serves(t, &t->indexes[i], key) && (best == NULL || t->indexes[i].key_count > best->key_count))
            best = &t->indexes[i];
    return best;
}

static bool
has_own_collation(const struct column *c, const struct index_key *key)
{
    const char *own = c->base_collation != NULL ? c->base_collation : "pg_catalog.\"default\"";

    return key == NULL || key->collation == NULL || strcmp(key->collation, own) == 0;
}

/*
 * Where the collation of a key's column changes, only the columns' own collations were looked at, not another one
 * that the key's index may have.
 */
static void
refuse_other_collation(const struct plan *forward, const struct back_key_column *k,
                       struct obstacles *obstacles)
{
    const struct column *from = &forward->source->columns[k->original];
    const struct column *made = &forward->target->columns[k->made];

    if (types_same(from->base_collation, made->base_collation) ||
        (has_own_collation(made, k->made_index) && has_own_collation(from, k->original_index)))
        return;
    list_addf(
        &obstacles->reasons,
        "a rollback would not be possible: the collation of key column \"%s\" changes, and that of the key's "
        "index is another one",
        made->name);
}

void
back_key_choose(struct back_key *key, const struct plan *forward, const struct transform *transform,
                const struct reverse_maps *maps, struct obstacles *obstacles)
{
    const struct index *made = table_key(forward->target);
    bool ok = true;

    *key = (struct back_key){0};
    if (made == NULL || key_is_temporal(forward->target, made)) {
        list_addf(&obstacles->reasons, "a rollback would not be possible: the new table has no primary key "
                                       "or other REPLICA IDENTITY by which its rows "
                                       "could be found");
        return;
    }
    key->items = mem_alloc((size_t)made->key_count * sizeof(*key->items));
    for (int i = 0; i < made->key_count; i++) {
        struct back_key_column *k = &key->items[i];

        k->made = position_of(forward->target, made->key_attnums[i]);
        k->made_index = &made->keys[i];
        k->original = original_of(forward, transform, maps, &forward->target->columns[k->made], obstacles);
        ok = ok && k->original >= 0;
    }
    key->count = made->key_count;
    if (!ok)
        return;
    key->original = choose_index(forward->source, key);
    if (key->original == NULL)
        list_addf(&obstacles->reasons,
                  "a rollback would not be possible: rows of the new table are found by \"%s\", and the "
                  "original has no unique "
                  "index on these columns",
                  made->name);
    for (int i = 0; key->original != NULL && i < key->count; i++) {
        int number = number_in(key->original, forward->source->columns[key->items[i].original].attnum);

        key->items[i].original_index = number >= 0 ? &key->original->keys[number] : NULL;
        refuse_other_collation(forward, &key->items[i], obstacles);
    }
}

void
back_key_fill(const struct back_key *key, struct plan *p, bool from_original)
{
    p->key_count = key->count;
    p->key = mem_alloc((size_t)key->count * sizeof(*p->key) + 1);
    for (int i = 0; i < key->count; i++) {
        const struct back_key_column *b = &key->items[i];
        int source = from_original ? b->original : b->made;
        const struct column *from = &p->source->columns[source];
        const struct column *to = &p->target->columns[from_original ? b->made : b->original];
        const struct index_key *from_index = from_original ? b->original_index : b->made_index;
        const struct index_key *to_index = from_original ? b->made_index : b->original_index;

        p->key[i] = (struct plan_key_column){
            .source = source,
            .source_name = mem_strdup(from->name),
            .type = mem_strdup(from->type),
            .collation = mem_strdup(from->collation),
            .shadow_name = mem_strdup(to->name),
            .source_equals = from_index != NULL ? mem_strdup(from_index->equals) : NULL,
            .source_collation = from_index != NULL ? mem_strdup(from_index->collation) : NULL,
            .shadow_equals = to_index != NULL ? mem_strdup(to_index->equals) : NULL,
            .shadow_collation = to_index != NULL ? mem_strdup(to_index->collation) : NULL,
            .shadow_value = from_original ? NULL : types_lookup(from, to),
        };
    }
}
