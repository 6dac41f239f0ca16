#include "rows/key.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "rows/types.h"

enum { INT8 = 20, INT2 = 21, INT4 = 23, TEXT = 25, VARCHAR = 1043, NUMERIC = 1700 };

bool
key_is_temporal(const struct table *t, const struct index *x)
{
    return index_is_temporal(t, x);
}

/*
 * Every value stays equal to itself and different from the others, and the server can compare the two types.
 */
static bool
keeps_values(const struct column *from, const struct column *to)
{
    oid_t a = from->base_type_oid;
    oid_t b = to->base_type_oid;

    if (!types_same(from->base_collation, to->base_collation))
        return false;
    if (strcmp(from->base_type, to->base_type) == 0)
        return true;
    if (a == INT2)
        return b == INT4 || b == INT8 || (b == NUMERIC && strchr(to->base_type, '(') == NULL);
    if (a == INT4)
        return b == INT8 || (b == NUMERIC && strchr(to->base_type, '(') == NULL);
    if (a == INT8 || a == NUMERIC)
        return b == NUMERIC && strchr(to->base_type, '(') == NULL;
    if ((a == TEXT || a == VARCHAR) && (b == TEXT || b == VARCHAR)) {
        int longest = b == TEXT ? -1 : types_varchar_length(to->base_type);

        return longest < 0 || (a == VARCHAR && types_varchar_length(from->base_type) > 0 &&
                               types_varchar_length(from->base_type) <= longest);
    }
    return false;
}

static int
source_position(const struct table *t, int attnum)
{
    for (int i = 0; i < t->column_count; i++)
        if (t->columns[i].attnum == attnum)
            return i;
    return -1;
}

/* A unique index that could be the replica identity, to be suggested to the user. */
static const struct index *
usable_index(const struct table *t)
{
    for (int i = 0; i < t->index_count; i++)
        if (index_may_identify(t, &t->indexes[i]))
            return &t->indexes[i];
    return NULL;
}

static bool
has_deferrable_key(const struct table *t)
{
    for (int i = 0; i < t->index_count; i++)
        if (t->indexes[i].primary && !t->indexes[i].immediate)
            return true;
    return false;
}

/* What is wrong with the primary key, or that there is none. */
static const char *
lacking_key(const struct table *t)
{
    for (int i = 0; i < t->index_count; i++)
        if (t->indexes[i].primary && index_is_temporal(t, &t->indexes[i]))
            return "a primary key WITHOUT OVERLAPS, by which the server does not say which row was changed";
    return has_deferrable_key(t) ? "a primary key that is deferrable" : "no primary key";
}

static bool
refuse_keyless(const struct table *t, struct error *err)
{
    const struct index *usable = usable_index(t);

    if (t->replica_identity == 'f')
        error_set(err, ERROR_REFUSED,
                  "table \"%s\" has REPLICA IDENTITY FULL, and no primary key or unique index on NOT NULL "
                  "columns: rows cannot be found by a key",
                  t->name);
    else if (t->replica_identity == 'n')
        error_set(err, ERROR_REFUSED,
                  "table \"%s\" has REPLICA IDENTITY NOTHING: rows cannot be found by a key", t->name);
    else
        error_set(err, ERROR_REFUSED, "table \"%s\" has %s: rows cannot be found by a key", t->name,
                  lacking_key(t));
    if (t->replica_identity == 'f')
        return error_hint(err, "Add a primary key. The replica identity may stay as it is.");
    if (usable == NULL)
        return error_hint(
            err, "Add a primary key, or a unique index on columns that are NOT NULL and then ALTER TABLE "
                 "... REPLICA IDENTITY USING INDEX.");
    if (usable->primary)
        return error_hint(err, "ALTER TABLE \"%s\".\"%s\" REPLICA IDENTITY DEFAULT; takes the primary key.",
                          t->schema, t->name);
    return error_hint(err, "ALTER TABLE \"%s\".\"%s\" REPLICA IDENTITY USING INDEX \"%s\"; makes one of it.",
                      t->schema, t->name, usable->name);
}

static bool
name_taken(const struct plan *p, const char *name)
{
    return table_column_named(p->target, name) != NULL;
}

static char *
hidden_name(const struct plan *p, int number)
{
    char *name = mem_printf("pgrecast_key_%d", number);

    for (int i = 2; name_taken(p, name); i++) {
        free(name);
        name = mem_printf("pgrecast_key_%d_%d", number, i);
    }
    return name;
}

/* The target's column that a source column became, if it holds the same values; else NULL. */
static const struct column *
surviving(const struct plan *p, const struct transform *t, int position)
{
    const struct column *to = table_column(p->target, position + 1);
    const struct column_value *v = transform_value(t, position + 1);

    if (to == NULL || v == NULL || !(v->plain || transform_is_direct(v)) || v->origin != COLUMN_FROM_ROW ||
        to->generated != '\0' || !keeps_values(&p->source->columns[position], to))
        return NULL;
    return to;
}

/* The key column has exactly the same type on the shadow as in the source. */
static bool
same_type(const struct plan *p, const struct plan_key_column *k)
{
    const struct column *to = k->hidden ? NULL : table_column_named(p->target, k->shadow_name);

    return to == NULL || strcmp(to->base_type, p->source->columns[k->source].base_type) == 0;
}

/*
 * The equality of the index on the shadow: the target's own index, or a temporary one that compares as the
 * source's does.
 */
static void
take_equality(struct plan *p)
{
    const struct index *own = key_index(p);

    for (int i = 0; i < p->key_count; i++) {
        struct plan_key_column *k = &p->key[i];
        const struct column *c = table_column_named(p->target, k->shadow_name);

        if (own == NULL) {
            k->shadow_equals = same_type(p, k) ? mem_strdup(k->source_equals) : NULL;
            k->shadow_collation = same_type(p, k) ? mem_strdup(k->source_collation) : NULL;
            continue;
        }
        for (int a = 0; a < own->key_count; a++) {
            if (own->key_attnums[a] != c->attnum || k->shadow_equals != NULL)
                continue;
            k->shadow_equals = mem_strdup(own->keys[a].equals);
            k->shadow_collation = mem_strdup(own->keys[a].collation);
        }
    }
}

bool
key_plan(struct plan *p, const struct transform *t, struct error *err)
{
    const struct index *index = table_key(p->source);
    bool hidden = false;

    if (index == NULL || key_is_temporal(p->source, index))
        return refuse_keyless(p->source, err);
    p->key = mem_alloc((size_t)index->key_count * sizeof(*p->key));
    p->key_count = index->key_count;
    for (int i = 0; i < p->key_count; i++) {
        struct plan_key_column *k = &p->key[i];
        const struct column *c;

        k->source = source_position(p->source, index->key_attnums[i]);
        if (k->source < 0)
            return error_set(err, ERROR_REFUSED, "the key \"%s\" is on an expression", index->name);
        c = &p->source->columns[k->source];
        if (c->generated != '\0') {
            error_set(err, ERROR_REFUSED,
                      "the key column \"%s\" is generated: it is not in the change stream", c->name);
            return error_hint(err, "Choose another key with ALTER TABLE ... REPLICA IDENTITY USING INDEX.");
        }
        k->source_name = mem_strdup(c->name);
        k->type = mem_strdup(c->type);
        k->collation = mem_strdup(c->collation);
        k->source_equals = mem_strdup(index->keys[i].equals);
        k->source_collation = mem_strdup(index->keys[i].collation);
        hidden = hidden || surviving(p, t, k->source) == NULL;
    }
    for (int i = 0; i < p->key_count; i++) {
        struct plan_key_column *k = &p->key[i];

        k->hidden = hidden;
        k->shadow_name = hidden ? hidden_name(p, i + 1) : mem_strdup(surviving(p, t, k->source)->name);
    }
    take_equality(p);
    return true;
}

char *
key_temporary_index(const struct plan *p, const char *name)
{
    const struct index *index = table_key(p->source);
    struct buffer sql = {0};

    /* a unique index of a partitioned table would have to contain the columns that divide it */
    buffer_printf(&sql, "CREATE %sINDEX ", p->target->partition_key == NULL ? "UNIQUE " : "");
    buffer_add_identifier(&sql, name);
    buffer_printf(&sql, " ON %s (", p->names.shadow_sql);
    for (int i = 0; i < p->key_count; i++) {
        buffer_add_text(&sql, i > 0 ? ", " : "");
        buffer_add_identifier(&sql, p->key[i].shadow_name);
        if (!same_type(p, &p->key[i]))
            continue;
        if (index->keys[i].collation != NULL)
            buffer_printf(&sql, " COLLATE %s", index->keys[i].collation);
        buffer_printf(&sql, " %s", index->keys[i].opclass);
    }
    buffer_add_char(&sql, ')');
    return buffer_take(&sql);
}

const struct index *
key_index(const struct plan *p)
{
    for (int i = 0; i < p->target->index_count; i++) {
        const struct index *x = &p->target->indexes[i];
        int found = 0;

        if (!x->unique || x->partial || !x->immediate || x->key_count != p->key_count ||
            key_is_temporal(p->target, x))
            continue;
        for (int k = 0; k < p->key_count; k++) {
            const struct column *c = table_column_named(p->target, p->key[k].shadow_name);

            for (int a = 0; c != NULL && a < x->key_count; a++)
                found += x->key_attnums[a] == c->attnum ? 1 : 0;
        }
        if (found == p->key_count)
            return x;
    }
    return NULL;
}

bool
key_leads_index(const struct plan *p)
{
    for (int i = 0; p->target->partition_key != NULL && i < p->target->index_count; i++) {
        const struct index *x = &p->target->indexes[i];
        int found = 0;

        for (int k = 0; !x->partial && x->valid && k < p->key_count && x->key_count >= p->key_count; k++) {
            const struct column *c = table_column_named(p->target, p->key[k].shadow_name);

            for (int a = 0; c != NULL && a < p->key_count; a++)
                found += x->key_attnums[a] == c->attnum && x->keys[a].equals != NULL ? 1 : 0;
        }
        if (found == p->key_count)
            return true;
    }
    return false;
}
