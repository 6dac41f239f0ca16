/*
 * The digest of a table: what two sides must share to be called equal. Per row XXH3-128 of its canonical bytes, added
 * modulo 2^128 into a bucket chosen by the hash of its key, and a count. Order does not matter, so each side is read in
 * its own order by any number of workers, whose digests are merged.
 *
 * Pure: takes no connection. Input rows are tuples of a binary COPY whose first key_count fields are the key.
 */
#ifndef PGRECAST_VERIFY_DIGEST_H
#define PGRECAST_VERIFY_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

struct digest_sum {
    uint64_t low, high; /* sum of row hashes modulo 2^128 */
    uint64_t rows;
};

struct digest {
    uint32_t bucket_count; /* a power of two */
    int key_count;
    struct digest_sum *buckets;
    struct digest_sum total;
};

void digest_init(struct digest *d, int key_count, uint32_t bucket_count);
void digest_free(struct digest *d); /* NULL-safe members */

/* How many buckets suit that many rows: about 256 rows each, 1024 to 65536. */
uint32_t digest_buckets_for(int64_t rows);

/* Hashes of one binary COPY tuple (int16 field count, then int32 length and bytes of each): of its first key_count
 * fields and of the whole. False when the bytes are not such a tuple. */
struct digest_row {
    uint64_t key_hash;
    uint64_t low, high;
};
bool digest_hash_row(const void *tuple, size_t len, int key_count, struct digest_row *out, struct error *err);

void digest_add(struct digest *d, const struct digest_row *row);
uint32_t digest_bucket_of(const struct digest *d, uint64_t key_hash);

/* into += from; both of one shape. */
void digest_merge(struct digest *into, const struct digest *from);

/* Sets differs[bucket] for each bucket that is not equal; returns how many. */
uint32_t digest_compare(const struct digest *a, const struct digest *b, bool *differs);

/* The hash of the whole table as 32 hex digits and a NUL: XXH3-128 over the sum and the count of all rows. */
char *digest_format(const struct digest *d, char out[33]);

#endif
