/* A set of keys. A key is a sequence of bytes: its columns as (kind, length, text). Internal to the apply. */
#ifndef PGRECAST_APPLY_KEYSET_H
#define PGRECAST_APPLY_KEYSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"

struct keyset {
    struct buffer bytes; /* all keys, one after the other, each after its length (uint32) */
    uint64_t *slots;     /* 1 + offset into bytes; 0: free */
    size_t slot_count;   /* a power of two */
    size_t count;
};

void keyset_add(struct keyset *set, const char *key, uint32_t len);

bool keyset_has(const struct keyset *set, const char *key, uint32_t len);

/* Remove the keys that the other set has. *at, of a walk, still points to the key before which it stood. */
void keyset_remove_all(struct keyset *set, const struct keyset *gone, size_t *at);

/* Walk through the keys: begin with *at = 0; false at the end. The key points into the set. */
bool keyset_next(const struct keyset *set, size_t *at, const char **key, uint32_t *len);
void keyset_clear(struct keyset *set);

#endif
