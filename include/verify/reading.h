/*
 * One reading of both sides of a comparison: which rows count, the digest of each side, and, where it is
 * asked for, the rows themselves with the text of their keys.
 *
 * The first reading takes every row. A later one looks only at rows whose buckets differed before, and
 * spreads them over new buckets by other bits of the same key hash.
 *
 * Pure: takes no connection; rows come from outside through parts, one a worker. Memory is bounded: digests,
 * rows up to a limit, which the first reading foretold and which is an error to pass, and key texts up to a
 * limit, beyond which rows are kept without their text.
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

#define READING_ROUNDS 2 /* ways to spread rows over buckets */

/* A set of buckets of one round. take is owned by whoever made it; NULL stands for all. */
struct bucket_set {
    bool *take;
    uint32_t bucket_count;
};

/* A row kept with its key. */
struct kept_row {
    uint64_t key_hash; /* as it came, whatever the round */
    uint64_t low, high;
    uint32_t key_at;  /* in .keys of the reading: the key's texts as fields of the COPY tuple */
    uint32_t key_len; /* 0: not kept */
    enum verify_side side;
};

/* Zero-initialise, then reading_init(). */
struct reading {
    int key_count;
    int field_count;                               /* of the fields that are compared */
    int round;                                     /* whose buckets the digests are in */
    const struct bucket_set *only[READING_ROUNDS]; /* by round: rows of these buckets only; NULL: all */
    struct digest digest[SIDE_COUNT];

    bool keeps_keys; /* tuples have key_count more fields, the key as text; rows are kept */
    size_t rows_most;
    size_t key_bytes_most;
    bool keys_left_out; /* some rows are without their key's text */
    struct kept_row *rows;
    size_t row_count;
    size_t row_room;
    struct buffer keys;

    pthread_mutex_t lock; /* digest and rows: parts come from several threads */
};

void reading_init(struct reading *r, int key_count, int field_count, int round, uint32_t bucket_count);
void reading_free(struct reading *r);

/* What one worker has read of one side. Its digest counts only when it is handed over. */
struct reading_part {
    struct reading *reading;
    enum verify_side side;
    struct digest digest;
    int64_t rows; /* seen, counted or not */
};

void reading_part_init(struct reading_part *p, struct reading *r, enum verify_side side);

/* One tuple; fails when it is no such row as expected. */
bool reading_part_row(struct reading_part *p, const void *tuple, size_t len, struct error *err);

/* Add the part to its reading and begin anew, maybe with the other side. */
void reading_part_hand_over(struct reading_part *p);
void reading_part_free(struct reading_part *p);

/* The bucket of a row in a round that has bucket_count of them. */
uint32_t reading_bucket(uint64_t key_hash, int round, uint32_t bucket_count);

#endif
