#include "verify/reading.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* Each round takes its buckets from other bits of the hash. */
static uint64_t
turned(uint64_t key_hash, int round)
{
    return round == 0 ? key_hash : key_hash >> 32 | key_hash << 32;
}

uint32_t
reading_bucket(uint64_t key_hash, int round, uint32_t bucket_count)
{
    return (uint32_t)turned(key_hash, round) & (bucket_count - 1);
}

void
reading_init(struct reading *r, int key_count, int field_count, int round, uint32_t bucket_count)
{
    memset(r, 0, sizeof(*r));
    r->key_count = key_count;
    r->field_count = field_count;
    r->round = round;
    for (int side = 0; side < SIDE_COUNT; side++)
        digest_init(&r->digest[side], key_count, bucket_count);
    pthread_mutex_init(&r->lock, NULL);
}

void
reading_free(struct reading *r)
{
    for (int side = 0; side < SIDE_COUNT; side++)
        digest_free(&r->digest[side]);
    free(r->rows);
    buffer_free(&r->keys);
    pthread_mutex_destroy(&r->lock);
    memset(r, 0, sizeof(*r));
}

void
reading_part_init(struct reading_part *p, struct reading *r, enum verify_side side)
{
    memset(p, 0, sizeof(*p));
    p->reading = r;
    p->side = side;
    digest_init(&p->digest, r->key_count, r->digest[side].bucket_count);
}

static bool
wanted(const struct reading *r, uint64_t key_hash)
{
    for (int round = 0; round < READING_ROUNDS; round++) {
        const struct bucket_set *only = r->only[round];

        if (only != NULL && !only->take[reading_bucket(key_hash, round, only->bucket_count)])
            return false;
    }
    return true;
}

/* Keep a row, and its key's text while there is room. */
static bool
keep_row(struct reading_part *p, const struct digest_row *row, const void *key, size_t key_len,
         struct error *err)
{
    struct reading *r = p->reading;
    struct kept_row *kept;
    bool ok = true;

    pthread_mutex_lock(&r->lock);
    if (r->row_count == r->rows_most) {
        ok = error_set(err, ERROR_FAILED, "reading the rows again gave more than the %zu there were before",
                       r->rows_most);
        goto out;
    }
    if (r->row_count == r->row_room) {
        r->row_room = r->row_room > 0 ? 2 * r->row_room : 256;
        r->rows = mem_array(r->rows, r->row_room, sizeof(*r->rows));
    }
    kept = &r->rows[r->row_count++];
    *kept = (struct kept_row){.key_hash = row->key_hash, .low = row->low, .high = row->high, .side = p->side};
    if (r->keys.len + key_len <= r->key_bytes_most) {
        kept->key_at = (uint32_t)r->keys.len;
        kept->key_len = (uint32_t)key_len;
        buffer_add(&r->keys, key, key_len);
    } else {
        r->keys_left_out = true;
    }
out:
    pthread_mutex_unlock(&r->lock);
    return ok;
}

bool
reading_part_row(struct reading_part *p, const void *tuple, size_t len, struct error *err)
{
    const struct reading *r = p->reading;
    const unsigned char *bytes = tuple;
    struct digest_row row, bucketed;
    size_t used;

    if (!digest_hash_fields(tuple, len, r->key_count, r->field_count, &row, &used, err))
        return false;
    if ((bytes[0] << 8 | bytes[1]) != r->field_count + (r->keeps_keys ? r->key_count : 0))
        return error_set(err, ERROR_FAILED, "a row of the comparison has not the fields that were asked for");
    p->rows++;
    if (!wanted(r, row.key_hash))
        return true;
    bucketed = row;
    bucketed.key_hash = turned(row.key_hash, r->round);
    digest_add(&p->digest, &bucketed);
    return r->keeps_keys ? keep_row(p, &row, bytes + used, len - used, err) : true;
}

void
reading_part_hand_over(struct reading_part *p)
{
    struct reading *r = p->reading;

    pthread_mutex_lock(&r->lock);
    digest_merge(&r->digest[p->side], &p->digest);
    pthread_mutex_unlock(&r->lock);
    digest_clear(&p->digest);
    p->rows = 0;
}

void
reading_part_free(struct reading_part *p)
{
    digest_free(&p->digest);
    memset(p, 0, sizeof(*p));
}
