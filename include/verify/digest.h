/*
 * The digest of a table: two sides are called equal if their digests are. For each row the XXH3-128 of its
 * canonical bytes is added modulo 2^128 to a bucket, which the hash of its key selects, and the row is
 * counted. The order does not matter. So each side is read in its own order by any number of workers, whose
 * digests are merged. It is a sum and not an XOR, so that a row that exists twice counts twice.
 *
 * The canonical bytes of a row are the fields of its binary COPY tuple as they were received, each after its
 * length. Two
 * rows give the same bytes if and only if they have the same fields, including NULLs (length -1). The tuple's
 * field
 * count is left out, so that fields for other purposes may follow those that are hashed.
 *
 * Pure: takes no connection. Input rows are tuples of a binary COPY (chapter "COPY", File Formats, Binary
 * Format) whose first key_count fields are the key. Refuses bytes that are not such a tuple.
 *
 * The format is stable: the same rows give the same text in every version, on every machine.
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
void digest_clear(struct digest *d); /* removes all rows, keeps the shape */
void digest_free(struct digest *d);  /* NULL-safe members */

/*
 * The number of buckets for that many rows: about 256 rows in each, 1024 to 8192 buckets. A bucket takes 24
 * bytes.
 */
uint32_t digest_buckets_for(int64_t rows);

/* Hashes of one row: XXH3-64 of its first key_count fields, and XXH3-128 of all its fields. */
struct digest_row {
    uint64_t key_hash;
    uint64_t low, high;
};

/*
 * Hash the first field_count fields of a tuple, of which the first key_count are the key. *used (may be NULL)
 * becomes the offset of the first byte after them. Fails when the bytes up to there are no tuple, or when it
 * has fewer fields.
 */
bool digest_hash_fields(const void *tuple, size_t len, int key_count, int field_count, struct digest_row *out,
                        size_t *used, struct error *err);

/* The same for a whole tuple, which must end with its last field. */
bool digest_hash_row(const void *tuple, size_t len, int key_count, struct digest_row *out, struct error *err);

void digest_add(struct digest *d, const struct digest_row *row);
uint32_t digest_bucket_of(const struct digest *d, uint64_t key_hash);

/* into += from; both have the same shape. */
void digest_merge(struct digest *into, const struct digest *from);

void digest_sum_add(struct digest_sum *into, const struct digest_sum *from);
bool digest_sum_equal(const struct digest_sum *a, const struct digest_sum *b);

/* Sets differs[bucket] where the buckets are not equal, and clears it elsewhere; returns how many differ. */
uint32_t digest_compare(const struct digest *a, const struct digest *b, bool *differs);

/* The hash of the whole table as 32 hex digits and a NUL: XXH3-128 over the sum and the count of all rows. It
 * does not depend on the number of buckets. */
char *digest_format(const struct digest *d, char out[33]);

#endif
