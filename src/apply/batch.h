/*
 * A batch: the changes of some source transactions, collapsed to the last image per key. Pure. Internal to
 * the apply.
 *
 * Keys are compared by their bytes. Two keys that are equal for the server but differ in bytes (1.0 and 1.00,
 * or letters under a nondeterministic collation) are two entries; that is right, because all touched keys are
 * deleted before any row is written, and at the end of a transaction at most one of them is alive.
 */
#ifndef PGRECAST_APPLY_BATCH_H
#define PGRECAST_APPLY_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/error.h"
#include "decode/message.h"

/* A row that was inserted: it has nothing of one that had its key before. */
#define BATCH_NO_BASE (-1)

struct batch_entry {
    uint64_t hash;
    const char *key; /* (kind, length, text) per key column */
    uint32_t key_len;
    bool row;             /* the key holds a row at the end; otherwise it is deleted */
    int base;             /* the entry whose row in the shadow, before the batch, has the unchanged values */
    int mask;             /* index of the set of unchanged columns, 0: none */
    struct value *values; /* column_count of them, or NULL for a deleted key */
};

struct batch {
    int column_count; /* of the stream: the source's columns without generated ones */
    int key_count;
    const int *key_positions; /* in the stream's columns */

    int entry_count;
    struct batch_entry *entries; /* in order of first touch */
    bool truncated;              /* before the entries, the table is emptied */

    int mask_count; /* sets of unchanged columns, column_count bools each; the first is the empty one */
    bool *masks;

    uint64_t changes; /* added since the last reset */
    size_t bytes;     /* of values and keys held */

    /* internal */
    int entry_cap;
    int *slots; /* hash table: 1 + entry index */
    size_t slot_count;
    struct arena_block *arena;
};

void batch_init(struct batch *b, int column_count, int key_count, const int *key_positions);
void batch_free(struct batch *b);
void batch_reset(struct batch *b);

/* Add an INSERT, UPDATE or DELETE. False when it does not fit the columns or has no key. */
bool batch_add(struct batch *b, const struct message *m, struct error *err);
void batch_truncate(struct batch *b);

/* Give each row entry its mask; once, before the batch is written out. */
void batch_close(struct batch *b);

/* After that: nothing of any row entry is known but its key. */
void batch_read_all(struct batch *b);

const bool *batch_mask(const struct batch *b, int mask);

/* The key in the bytes of an entry or a keyset: value i. */
void batch_key_values(const char *key, int key_count, struct value *values);

/* Those bytes, from one text per key column. */
void batch_encode_key(char *const *values, int key_count, struct buffer *key);

/* "(1, abc)", for people. The caller frees it. */
char *batch_key_text(const char *key, int key_count);

#endif
