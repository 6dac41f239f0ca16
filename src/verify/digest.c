#include "verify/digest.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/count.h"
#include "core/cursor.h"
#include "core/mem.h"

#define BUCKETS_LEAST 1024
/* 192 KB of buckets: they are accessed at random, and must fit into the processor's cache. */
#define BUCKETS_MOST 8192
#define ROWS_A_BUCKET 256
#define NULL_LENGTH UINT32_MAX /* -1 as an int32 */

void
digest_init(struct digest *d, int key_count, uint32_t bucket_count)
{
    memset(d, 0, sizeof(*d));
    d->bucket_count = bucket_count;
    d->key_count = key_count;
    d->buckets = mem_alloc(sizeof(*d->buckets) * bucket_count);
}

void
digest_clear(struct digest *d)
{
    memset(d->buckets, 0, sizeof(*d->buckets) * d->bucket_count);
    memset(&d->total, 0, sizeof(d->total));
}

void
digest_free(struct digest *d)
{
    free(d->buckets);
    memset(d, 0, sizeof(*d));
}

uint32_t
digest_buckets_for(int64_t rows)
{
    uint32_t count = BUCKETS_LEAST;

    while (count < BUCKETS_MOST && (int64_t)count * ROWS_A_BUCKET < rows)
        count *= 2;
    return count;
}

/* Pass over count fields. */
static void
skip_fields(struct cursor *cur, int count)
{
    for (int i = 0; i < count && !cursor_failed(cur); i++) {
        uint32_t len = cursor_u32(cur);

        if (len != NULL_LENGTH)
            cursor_bytes(cur, len);
    }
}

bool
digest_hash_fields(const void *tuple, size_t len, int key_count, int field_count, struct digest_row *out,
                   size_t *used, struct error *err)
{
    struct cursor cur = cursor_over(tuple, len);
    int fields = (int16_t)cursor_u16(&cur);
    const unsigned char *first = cur.next;
    size_t key_len, row_len;
    int least = field_count < key_count ? key_count : field_count;

    if (fields < field_count || field_count < key_count || key_count < 0)
        return error_set(err, ERROR_FAILED, "a row of a binary COPY has %d %s where at least %d %s expected",
                         fields, count_word(fields, "field", "fields"), least,
                         count_word(least, "was", "were"));
    skip_fields(&cur, key_count);
    key_len = (size_t)(cur.next - first);
    skip_fields(&cur, field_count - key_count);
    row_len = (size_t)(cur.next - first);
    if (cursor_failed(&cur))
        return error_set(err, ERROR_FAILED, "a row of a binary COPY ends within a field");

    XXH128_hash_t row = XXH3_128bits(first, row_len);
    out->key_hash = XXH3_64bits(first, key_len);
    out->low = row.low64;
    out->high = row.high64;
    if (used != NULL)
        *used = row_len + sizeof(uint16_t);
    return true;
}

bool
digest_hash_row(const void *tuple, size_t len, int key_count, struct digest_row *out, struct error *err)
{
    struct cursor cur = cursor_over(tuple, len);
    int fields = (int16_t)cursor_u16(&cur);
    size_t used;

    if (cursor_failed(&cur) || fields < key_count)
        return error_set(err, ERROR_FAILED, "a row of a binary COPY lacks the %d %s of its key", key_count,
                         count_word(key_count, "field", "fields"));
    if (!digest_hash_fields(tuple, len, key_count, fields, out, &used, err))
        return false;
    if (used != len)
        return error_set(err, ERROR_FAILED, "a row of a binary COPY has %zu %s after its last field",
                         len - used, count_word((int64_t)(len - used), "byte", "bytes"));
    return true;
}

void
digest_sum_add(struct digest_sum *into, const struct digest_sum *from)
{
    into->low += from->low;
    into->high += from->high + (into->low < from->low ? 1 : 0);
    into->rows += from->rows;
}

bool
digest_sum_equal(const struct digest_sum *a, const struct digest_sum *b)
{
    return a->low == b->low && a->high == b->high && a->rows == b->rows;
}

uint32_t
digest_bucket_of(const struct digest *d, uint64_t key_hash)
{
    return (uint32_t)key_hash & (d->bucket_count - 1);
}

void
digest_add(struct digest *d, const struct digest_row *row)
{
    struct digest_sum one = {.low = row->low, .high = row->high, .rows = 1};

    digest_sum_add(&d->buckets[digest_bucket_of(d, row->key_hash)], &one);
    digest_sum_add(&d->total, &one);
}

void
digest_merge(struct digest *into, const struct digest *from)
{
    if (into->bucket_count != from->bucket_count || into->key_count != from->key_count)
        abort(); /* an error of this program */
    for (uint32_t i = 0; i < from->bucket_count; i++)
        digest_sum_add(&into->buckets[i], &from->buckets[i]);
    digest_sum_add(&into->total, &from->total);
}

uint32_t
digest_compare(const struct digest *a, const struct digest *b, bool *differs)
{
    uint32_t count = 0;

    if (a->bucket_count != b->bucket_count || a->key_count != b->key_count)
        abort(); /* an error of this program */
    for (uint32_t i = 0; i < a->bucket_count; i++) {
        differs[i] = !digest_sum_equal(&a->buckets[i], &b->buckets[i]);
        count += differs[i] ? 1 : 0;
    }
    return count;
}

/* The least significant byte first, on every machine. */
static void
digest_put_u64(unsigned char *out, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(value >> (8 * i));
}

char *
digest_format(const struct digest *d, char out[33])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[24];
    XXH128_canonical_t canonical;

    digest_put_u64(bytes, d->total.low);
    digest_put_u64(bytes + 8, d->total.high);
    digest_put_u64(bytes + 16, d->total.rows);
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, sizeof(bytes)));
    for (size_t i = 0; i < sizeof(canonical.digest); i++) {
        out[2 * i] = digits[canonical.digest[i] >> 4];
        out[2 * i + 1] = digits[canonical.digest[i] & 15];
    }
    out[32] = '\0';
    return out;
}
