#include <string.h>

#include "catalog/table.h"
#include "core/mem.h"

/* The items of a list, as they are: what they point to is for the caller to copy. */
static void *
copy_items(const void *items, int count, size_t size)
{
    void *copy;

    if (items == NULL)
        return NULL;
    copy = mem_array(NULL, (size_t)count + 1, size);
    memcpy(copy, items, (size_t)count * size);
    return copy;
}

#define COPY_TEXT(of, field) ((of)->field = mem_strdup((of)->field))

static void
grants_copy(struct grant_list *list)
{
    list->items = copy_items(list->items, list->count, sizeof(*list->items));
    for (int i = 0; i < list->count; i++) {
        COPY_TEXT(&list->items[i], grantee);
        COPY_TEXT(&list->items[i], privileges);
    }
}

static struct owned_sequence *
sequences_copy(const struct owned_sequence *from)
{
    struct owned_sequence *first = NULL;

    for (struct owned_sequence **at = &first; from != NULL; from = from->next, at = &(*at)->next) {
        struct owned_sequence *q = mem_alloc(sizeof(*q));

        *q = *from;
        COPY_TEXT(q, schema);
        COPY_TEXT(q, name);
        COPY_TEXT(q, quoted_name);
        COPY_TEXT(q, type);
        COPY_TEXT(q, options);
        COPY_TEXT(q, comment);
        COPY_TEXT(q, acl);
        grants_copy(&q->grants);
        q->next = NULL;
        *at = q;
    }
    return first;
}

static void
columns_copy(struct table *t)
{
    t->columns = copy_items(t->columns, t->column_count, sizeof(*t->columns));
    for (int i = 0; i < t->column_count; i++) {
        struct column *c = &t->columns[i];

        COPY_TEXT(c, name);
        COPY_TEXT(c, type);
        COPY_TEXT(c, base_type);
        COPY_TEXT(c, collation);
        COPY_TEXT(c, not_null_name);
        COPY_TEXT(c, not_null_comment);
        COPY_TEXT(c, default_expr);
        c->generated_from =
            copy_items(c->generated_from, c->generated_from_count, sizeof(*c->generated_from));
        COPY_TEXT(c, missing);
        COPY_TEXT(c, options);
        COPY_TEXT(c, comment);
        COPY_TEXT(c, acl);
        grants_copy(&c->grants);
        c->sequence = sequences_copy(c->sequence);
    }
}

static void
constraints_copy(struct table *t)
{
    t->constraints = copy_items(t->constraints, t->constraint_count, sizeof(*t->constraints));
    for (int i = 0; i < t->constraint_count; i++) {
        COPY_TEXT(&t->constraints[i], name);
        COPY_TEXT(&t->constraints[i], definition);
        COPY_TEXT(&t->constraints[i], comment);
    }
}

static void
indexes_copy(struct table *t)
{
    t->indexes = copy_items(t->indexes, t->index_count, sizeof(*t->indexes));
    for (int i = 0; i < t->index_count; i++) {
        struct index *x = &t->indexes[i];

        COPY_TEXT(x, name);
        COPY_TEXT(x, definition);
        COPY_TEXT(x, tablespace);
        x->key_attnums = copy_items(x->key_attnums, x->key_count, sizeof(*x->key_attnums));
        x->keys = copy_items(x->keys, x->key_count, sizeof(*x->keys));
        for (int k = 0; x->keys != NULL && k < x->key_count; k++) {
            COPY_TEXT(&x->keys[k], equals);
            COPY_TEXT(&x->keys[k], opclass);
            COPY_TEXT(&x->keys[k], collation);
        }
        COPY_TEXT(x, predicate);
        COPY_TEXT(x, comment);
        x->statistics = copy_items(x->statistics, x->statistics_count, sizeof(*x->statistics));
    }
}

static void
statistics_copy(struct table *t)
{
    t->statistics = copy_items(t->statistics, t->statistics_count, sizeof(*t->statistics));
    for (int i = 0; i < t->statistics_count; i++) {
        struct extended_statistics *x = &t->statistics[i];

        COPY_TEXT(x, schema);
        COPY_TEXT(x, name);
        COPY_TEXT(x, definition);
        COPY_TEXT(x, comment);
        COPY_TEXT(x, owner);
    }
}

static void
dependents_copy(struct table *t)
{
    t->dependents = copy_items(t->dependents, t->dependent_count, sizeof(*t->dependents));
    for (int i = 0; i < t->dependent_count; i++) {
        COPY_TEXT(&t->dependents[i], kind);
        COPY_TEXT(&t->dependents[i], description);
        COPY_TEXT(&t->dependents[i], reason);
    }
}

struct table *
table_copy(const struct table *from)
{
    struct table *t = mem_alloc(sizeof(*t));

    *t = *from;
    columns_copy(t);
    constraints_copy(t);
    indexes_copy(t);
    statistics_copy(t);
    dependents_copy(t);
    grants_copy(&t->grants);
    grants_copy(&t->default_privileges);
    COPY_TEXT(t, schema);
    COPY_TEXT(t, name);
    COPY_TEXT(t, owner);
    COPY_TEXT(t, session_role);
    COPY_TEXT(t, tablespace);
    COPY_TEXT(t, database_tablespace);
    COPY_TEXT(t, access_method);
    COPY_TEXT(t, options);
    COPY_TEXT(t, toast_options);
    COPY_TEXT(t, comment);
    COPY_TEXT(t, acl);
    COPY_TEXT(t, fingerprint);
    return t;
}
