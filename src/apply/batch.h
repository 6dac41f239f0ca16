/*
 * A batch: the changes of several source transactions, reduced to the last image of each key. Pure. Internal
 * to the apply.
 *
 * Keys are compared by their bytes. Two keys that are equal for the server but differ in bytes (1.0 and 1.00,
 * or letters under a nondeterministic collation) are two entries. That is correct: all touched keys are
 * deleted before any row is written, and at the end of a transaction at most one of the two has a row.
 */
#ifndef PGRECAST_APPLY_BATCH_H
#define PGRECAST_APPLY_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/error.h"
#include "decode/message.h"

/* Base of a row that was inserted: it takes no values from a row that had its key before. */
#define BATCH_NO_BASE (-1)

struct batch_entry {
    uint64_t hash;
    const char *key; /* (kind, length, text) for each key column */
    uint32_t key_len;
    bool row; /* at the end of the batch the key has a row; otherwise it is deleted */
    /* The entry whose row in the shadow, before the batch, has the values left unchanged. */
    int base;
    int mask;             /* index of the row's set of unchanged columns; 0: none */
    struct value *values; /* column_count values, or NULL for a deleted key */
};

struct batch {
    int column_count; /* of the stream: the source's columns except generated ones */
    int key_count;
    const int *key_positions; /* index of each key column among the stream's columns */
    /* By column: the value must come from the source, not from the stream; NULL: none. */
    const bool *only_in_source;

    int entry_count;
    struct batch_entry *entries; /* in the order in which their keys were first touched */
    bool truncated;              /* the table is emptied before the entries are written */

    int mask_count; /* sets of unchanged columns, of column_count bools each; the first set is empty */
    bool *masks;

    uint64_t changes; /* changes added since the last reset */
    size_t bytes;     /* memory of the values and keys */

    /* internal */
    int entry_cap;
    int *slots; /* hash table: 1 + index of the entry */
    size_t slot_count;
    struct arena_block *arena;
};

void batch_init(struct batch *b, int column_count, int key_count, const int *key_positions);
void batch_free(struct batch *b);

/*
 * Values of these columns count as unchanged, whatever the stream has for them. columns must live as long as
 * the batch.
 */
void batch_leave_to_source(struct batch *b, const bool *columns);
void batch_reset(struct batch *b);

/* Add an INSERT, UPDATE or DELETE. False when the change does not fit the columns or has no key. */
bool batch_add(struct batch *b, const struct message *m, struct error *err);
void batch_truncate(struct batch *b);

/* Set the mask of each entry that has a row; to be called once, before the batch is written. */
void batch_close(struct batch *b);

/*
 * To be called after batch_close(): of each entry with a row only the key is used; all its values are read
 * from the source.
 */
void batch_read_all(struct batch *b);

const bool *batch_mask(const struct batch *b, int mask);

/* The values of a key, from the bytes of an entry or a keyset. */
void batch_key_values(const char *key, int key_count, struct value *values);

/* Those bytes, from one text for each key column. */
void batch_encode_key(char *const *values, int key_count, struct buffer *key);

/* The key as "(1, abc)", for people. The caller frees it. */
char *batch_key_text(const char *key, int key_count, const char *encoding);

#endif
