/*
 * One reading of both sides of a comparison: which rows count, the digest of each side, and, if requested,
 * the rows themselves with the text of their keys.
 *
 * The first reading takes every row. A later one takes only rows whose buckets differed before, and spreads
 * them over
 * new buckets by other bits of the same key hash.
 *
 * Pure: takes no connection. Rows come from outside through parts, one for each worker. Memory is bounded. It
 * holds the
 * digests; the rows up to a limit, which is known from the first reading, so that exceeding it is an error;
 * and the key
 * texts up to a limit, beyond which rows are kept without their text.
 */
#ifndef PGRECAST_VERIFY_READING_H
#define PGRECAST_VERIFY_READING_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/error.h"
#include "verify/digest.h"

enum verify_side { SIDE_SOURCE, SIDE_SHADOW, SIDE_COUNT };

#define READING_ROUNDS 2 /* number of ways to spread rows over buckets */

/* A set of buckets of one round. The caller that made it owns take; NULL stands for all buckets. */
struct bucket_set {
    bool *take;
    uint32_t bucket_count;
};

/* A row kept with its key. */
struct kept_row {
    uint64_t key_hash; /* the whole hash, whatever the round */
    uint64_t low, high;
    uint32_t key_at;  /* offset in the reading's .keys: the key's texts as fields of the COPY tuple */
    uint32_t key_len; /* 0: the text is not kept */
    enum verify_side side;
};

/* Zero-initialise, then reading_init(). */
struct reading {
    int key_count;
    int field_count; /* number of fields that are compared */
    int round;       /* the round whose buckets the digests use */
    /* For each round: take only rows of these buckets; NULL: all. */
    const struct bucket_set *only[READING_ROUNDS];
    struct digest digest[SIDE_COUNT];

    bool keeps_keys; /* tuples have key_count more fields, the key as text, and the rows are kept */
    size_t rows_most;
    size_t key_bytes_most;
    bool keys_left_out; /* the key texts of some rows are not kept */
    struct kept_row *rows;
    size_t row_count;
    size_t row_room;
    struct buffer keys;

    pthread_mutex_t lock; /* protects digest and rows, because parts come from several threads */
};

void reading_init(struct reading *r, int key_count, int field_count, int round, uint32_t bucket_count);
void reading_free(struct reading *r);

/* What one worker has read of one side. Its digest counts only after reading_part_hand_over(). */
struct reading_part {
    struct reading *reading;
    enum verify_side side;
    struct digest digest;
    int64_t rows; /* rows read, whether they count or not */
};

void reading_part_init(struct reading_part *p, struct reading *r, enum verify_side side);

/* Add one tuple; fails when it is not a row of the expected form. */
bool reading_part_row(struct reading_part *p, const void *tuple, size_t len, struct error *err);

/* Add the part to its reading and empty it; the worker may go on to read the other side. */
void reading_part_hand_over(struct reading_part *p);
void reading_part_free(struct reading_part *p);

/* The bucket of a row in a round that has bucket_count of them. */
uint32_t reading_bucket(uint64_t key_hash, int round, uint32_t bucket_count);

#endif
