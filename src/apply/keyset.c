#include "keyset.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/mem.h"

static size_t
keyset_find_slot(const struct keyset *set, const char *key, uint32_t len)
{
    size_t mask = set->slot_count - 1;
    size_t slot = XXH3_64bits(key, len) & mask;

    for (; set->slots[slot] != 0; slot = (slot + 1) & mask) {
        const char *at = set->bytes.data + set->slots[slot] - 1;
        uint32_t there;

        memcpy(&there, at, sizeof(there));
        if (there == len && memcmp(at + sizeof(there), key, len) == 0)
            break;
    }
    return slot;
}

static void
keyset_grow(struct keyset *set)
{
    const char *key;
    uint32_t len;
    size_t at = 0;

    free(set->slots);
    set->slot_count = set->slot_count > 0 ? set->slot_count * 2 : 1024;
    set->slots = mem_alloc(set->slot_count * sizeof(*set->slots));
    for (size_t offset = 0; keyset_next(set, &at, &key, &len); offset = at)
        set->slots[keyset_find_slot(set, key, len)] = offset + 1;
}

void
keyset_add(struct keyset *set, const char *key, uint32_t len)
{
    size_t slot;

    if (set->count * 2 >= set->slot_count)
        keyset_grow(set);
    slot = keyset_find_slot(set, key, len);
    if (set->slots[slot] != 0)
        return;
    set->slots[slot] = set->bytes.len + 1;
    buffer_add(&set->bytes, &len, sizeof(len));
    buffer_add(&set->bytes, key, len);
    set->count++;
}

bool
keyset_has(const struct keyset *set, const char *key, uint32_t len)
{
    return set->count > 0 && set->slots[keyset_find_slot(set, key, len)] != 0;
}

void
keyset_remove_all(struct keyset *set, const struct keyset *gone, size_t *at)
{
    struct keyset rest = {0};
    size_t next = 0, walk = 0;
    const char *key;
    uint32_t len;

    while (keyset_next(set, &walk, &key, &len)) {
        if (!keyset_has(gone, key, len))
            keyset_add(&rest, key, len);
        if (walk <= *at)
            next = rest.bytes.len;
    }
    keyset_clear(set);
    *set = rest;
    *at = next;
}

bool
keyset_next(const struct keyset *set, size_t *at, const char **key, uint32_t *len)
{
    if (*at >= set->bytes.len)
        return false;
    memcpy(len, set->bytes.data + *at, sizeof(*len));
    *key = set->bytes.data + *at + sizeof(*len);
    *at += sizeof(*len) + *len;
    return true;
}

void
keyset_clear(struct keyset *set)
{
    buffer_free(&set->bytes);
    free(set->slots);
    memset(set, 0, sizeof(*set));
}
