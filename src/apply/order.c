#include "order.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "statements.h"

struct sorting {
    const struct batch *batch;
    bool *integer; /* by key column: compare as numbers, not as texts */
};

static int
compare_bytes(const struct value *a, const struct value *b)
{
    uint32_t len = a->len < b->len ? a->len : b->len;
    int order = memcmp(a->data, b->data, len);

    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

/* Compare integers in the text form that the server writes. */
static int
compare_integers(const struct value *a, const struct value *b)
{
    bool a_negative = a->len > 0 && a->data[0] == '-', b_negative = b->len > 0 && b->data[0] == '-';
    int order;

    if (a_negative != b_negative)
        return a_negative ? -1 : 1;
    order = a->len != b->len ? (a->len > b->len) - (a->len < b->len) : compare_bytes(a, b);
    return a_negative ? -order : order;
}

/* Read the value of the next column from an encoded key. */
static struct value
order_take(const char **key)
{
    struct value value;

    batch_key_values(*key, 1, &value);
    *key = value.data + value.len;
    return value;
}

static int
order_compare(const void *left, const void *right, void *arg)
{
    const struct sorting *s = arg;
    const char *a = s->batch->entries[*(const int *)left].key;
    const char *b = s->batch->entries[*(const int *)right].key;

    for (int i = 0; i < s->batch->key_count; i++) {
        struct value x = order_take(&a), y = order_take(&b);
        int order = s->integer[i] ? compare_integers(&x, &y) : compare_bytes(&x, &y);

        if (order != 0)
            return order;
    }
    return 0;
}

static bool
order_is_integer(const char *type)
{
    static const char *const integers[] = {"smallint", "integer", "bigint", "oid"};

    for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++)
        if (strcmp(type, integers[i]) == 0)
            return true;
    return false;
}

int *
order_by_key(const struct batch *b, const struct plan *plan)
{
    struct sorting s = {.batch = b, .integer = mem_alloc((size_t)b->key_count * sizeof(*s.integer))};
    int *order = mem_array(NULL, (size_t)b->entry_count + 1, sizeof(*order));

    for (int i = 0; i < b->key_count; i++)
        s.integer[i] = order_is_integer(plan->source->columns[plan->key[i].source].base_type);
    for (int i = 0; i < b->entry_count; i++)
        order[i] = i;
    if (plan_keys_differ_by_text(plan))
        qsort_r(order, (size_t)b->entry_count, sizeof(*order), order_compare, &s);
    free(s.integer);
    return order;
}
