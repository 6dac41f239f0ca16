#include "verify/comparison.h"

#include <stdlib.h>
#include <string.h>

#include "core/cursor.h"
#include "core/encoding.h"
#include "core/mem.h"

#define REFINING_BUCKETS 65536

const struct comparison_limits comparison_limits = {
    .named_rows = 131072,
    .refined_rows = 32 * 1024 * 1024,
    .naming_readings = 4,
    .key_bytes = 8 * 1024 * 1024,
    .mismatches = VERIFY_MISMATCHES_KEPT,
    .result_bytes = 16 * 1024 * 1024,
};

struct drill {
    const struct comparison *c;
    struct verify_result *result;
    size_t result_bytes; /* bytes of key texts kept so far */
};

/* ---- naming the keys of kept rows ---- */

/* Order by key; within a key the source's rows first, by their hashes. */
static int
compare_kept(const void *left, const void *right, void *arg)
{
    const struct kept_row *a = left, *b = right;
    const struct reading *r = arg;

    if (a->key_hash != b->key_hash)
        return a->key_hash < b->key_hash ? -1 : 1;
    if (!r->keys_left_out) {
        if (a->key_len != b->key_len)
            return a->key_len < b->key_len ? -1 : 1;
        int order = memcmp(r->keys.data + a->key_at, r->keys.data + b->key_at, a->key_len);
        if (order != 0)
            return order;
    }
    if (a->side != b->side)
        return a->side < b->side ? -1 : 1;
    if (a->high != b->high)
        return a->high < b->high ? -1 : 1;
    return a->low < b->low ? -1 : a->low > b->low;
}

static bool
comparison_same_key(const struct reading *r, const struct kept_row *a, const struct kept_row *b)
{
    if (a->key_hash != b->key_hash)
        return false;
    return r->keys_left_out || (a->key_len == b->key_len &&
                                memcmp(r->keys.data + a->key_at, r->keys.data + b->key_at, a->key_len) == 0);
}

/* Read the key's texts from the fields of a tuple, and join them to the text for people. */
static void
unpack_key(const struct reading *r, const struct kept_row *row, const char *encoding,
           struct verify_mismatch *mismatch)
{
    struct cursor cur = cursor_over(r->keys.data + row->key_at, row->key_len);
    struct buffer text = {0};

    mismatch->key_values = mem_array(NULL, (size_t)r->key_count, sizeof(*mismatch->key_values));
    buffer_add_char(&text, '(');
    for (int i = 0; i < r->key_count; i++) {
        uint32_t len = cursor_u32(&cur);
        const char *value = len == UINT32_MAX ? NULL : cursor_bytes(&cur, len);

        mismatch->key_values[i] = value == NULL ? NULL : mem_strndup(value, len);
        if (i > 0)
            buffer_add_text(&text, ", ");
        buffer_add_text(&text, value == NULL ? "null" : mismatch->key_values[i]);
    }
    buffer_add_char(&text, ')');
    mismatch->key = encoding_shown(encoding, text.data, text.len);
    buffer_free(&text);
}

/* Count one key that differs, and keep it while there is room. */
static void
add_mismatch(struct drill *d, const struct reading *r, const struct kept_row *row,
             enum verify_difference difference)
{
    struct verify_result *result = d->result;
    size_t kept = (size_t)result->kept;

    result->mismatch_count++;
    if (row->key_len == 0 || result->kept == d->c->limits->mismatches ||
        d->result_bytes + row->key_len > d->c->limits->result_bytes)
        return;
    if ((kept & (kept - 1)) == 0) /* the array is full at every power of two */
        result->mismatches =
            mem_array(result->mismatches, kept > 0 ? 2 * kept : 1, sizeof(*result->mismatches));
    result->mismatches[kept] = (struct verify_mismatch){.difference = difference};
    unpack_key(r, row, d->c->encoding, &result->mismatches[kept]);
    result->kept++;
    d->result_bytes += row->key_len;
}

/* Compare the rows of one key on both sides, both in order. */
static void
judge_key(struct drill *d, const struct reading *r, const struct kept_row *rows, size_t count)
{
    const struct kept_row *named = rows;
    size_t source = 0, shadow;
    bool equal;

    while (source < count && rows[source].side == SIDE_SOURCE)
        source++;
    shadow = count - source;
    equal = source == shadow;
    for (size_t i = 0; equal && i < source; i++)
        equal = rows[i].low == rows[source + i].low && rows[i].high == rows[source + i].high;
    if (equal)
        return;
    while (named < rows + count - 1 && named->key_len == 0)
        named++;
    add_mismatch(d, r, named, shadow == 0 ? VERIFY_MISSING : source == 0 ? VERIFY_EXTRA : VERIFY_DIFFERENT);
}

static void
name_mismatches(struct drill *d, struct reading *r)
{
    size_t end;

    if (r->row_count > 1)
        qsort_r(r->rows, r->row_count, sizeof(*r->rows), compare_kept, r);
    for (size_t at = 0; at < r->row_count; at = end) {
        for (end = at + 1; end < r->row_count && comparison_same_key(r, &r->rows[at], &r->rows[end]); end++)
            ;
        judge_key(d, r, &r->rows[at], end - at);
    }
}

/* ---- choosing what to read ---- */

static int64_t
bucket_rows(const struct reading *r, uint32_t bucket)
{
    return (int64_t)(r->digest[SIDE_SOURCE].buckets[bucket].rows +
                     r->digest[SIDE_SHADOW].buckets[bucket].rows);
}

/* The number of rows of both sides in the buckets that differ; *any is set if there is such a bucket. */
static int64_t
differing_rows(const struct reading *r, const bool *differs, bool *any)
{
    int64_t rows = 0;

    *any = false;
    for (uint32_t i = 0; i < r->digest[SIDE_SOURCE].bucket_count; i++) {
        if (differs[i]) {
            rows += bucket_rows(r, i);
            *any = true;
        }
    }
    return rows;
}

/* Move differing buckets to a set: the first one in any case, more while their rows are within the limit. */
static struct bucket_set
choose_buckets(const struct reading *r, bool *differs, int64_t rows_most, int64_t *rows)
{
    uint32_t count = r->digest[SIDE_SOURCE].bucket_count;
    struct bucket_set set = {.take = mem_alloc(count * sizeof(bool)), .bucket_count = count};
    bool first = true;

    *rows = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!differs[i] || (!first && *rows + bucket_rows(r, i) > rows_most))
            continue;
        *rows += bucket_rows(r, i);
        set.take[i] = true;
        differs[i] = false;
        first = false;
    }
    return set;
}

/*
 * Count keys of buckets that differ and are not read. Each bucket has at least one key that differs, and at
 * least as many as there are more rows on one side than on the other.
 */
static void
count_unread(struct drill *d, const struct reading *r, const bool *differs)
{
    for (uint32_t i = 0; i < r->digest[SIDE_SOURCE].bucket_count; i++) {
        int64_t source = (int64_t)r->digest[SIDE_SOURCE].buckets[i].rows;
        int64_t shadow = (int64_t)r->digest[SIDE_SHADOW].buckets[i].rows;
        int64_t lacking = source > shadow ? source - shadow : shadow - source;

        if (differs[i]) {
            d->result->mismatch_count += (uint64_t)(lacking > 1 ? lacking : 1);
            d->result->count_is_least = true;
        }
    }
}

/* The rows of these buckets must be the same in both readings. */
static bool
check_repeated(const struct reading *before, const struct bucket_set *set, const struct reading *again,
               struct error *err)
{
    for (int side = 0; side < SIDE_COUNT; side++) {
        struct digest_sum expected = {0};

        for (uint32_t i = 0; i < set->bucket_count; i++) {
            if (set->take[i])
                digest_sum_add(&expected, &before->digest[side].buckets[i]);
        }
        if (digest_sum_equal(&expected, &again->digest[side].total))
            continue;
        error_set(err, ERROR_FAILED, "reading the %s table again gave other rows than before",
                  side == SIDE_SOURCE ? "original" : "shadow");
        error_detail(err, "Rows of the part read again: %lld before, %lld now.", (long long)expected.rows,
                     (long long)again->digest[side].total.rows);
        return error_hint(
            err, "The expressions of the change must give the same value each time they are evaluated.");
    }
    return true;
}

/* ---- the readings ---- */

/*
 * One reading that names keys, of as many differing buckets as may be kept. These buckets are removed from
 * differs.
 */
static bool
name_some(struct drill *d, const struct reading *last, bool *differs, const struct bucket_set *outer,
          struct error *err)
{
    const struct comparison *c = d->c;
    struct reading again;
    struct bucket_set set;
    int64_t rows;
    bool ok;

    set = choose_buckets(last, differs, c->limits->named_rows, &rows);
    reading_init(&again, c->key_count, c->field_count, last->round, last->digest[SIDE_SOURCE].bucket_count);
    again.only[0] = outer;
    again.only[last->round] = &set;
    again.keeps_keys = true;
    again.rows_most = (size_t)rows;
    again.key_bytes_most = c->limits->key_bytes;

    ok = c->read(c->arg, &again, err) && check_repeated(last, &set, &again, err);
    if (ok)
        name_mismatches(d, &again);
    reading_free(&again);
    free(set.take);
    return ok;
}

static bool
name_all(struct drill *d, const struct reading *last, bool *differs, const struct bucket_set *outer,
         struct error *err)
{
    bool any;

    for (int i = 0; i < d->c->limits->naming_readings; i++) {
        differing_rows(last, differs, &any);
        if (!any || d->result->kept == d->c->limits->mismatches)
            break;
        if (!name_some(d, last, differs, outer, err))
            return false;
    }
    count_unread(d, last, differs);
    return true;
}

/*
 * There are too many rows to keep: spread those of the differing buckets over new buckets, most of which will
 * be equal.
 */
static bool
refine_and_name(struct drill *d, const struct reading *first, bool *differs, struct error *err)
{
    const struct comparison *c = d->c;
    struct reading second;
    struct bucket_set set;
    bool *still = NULL;
    int64_t rows;
    bool ok;

    set = choose_buckets(first, differs, c->limits->refined_rows, &rows);
    count_unread(d, first, differs);
    reading_init(&second, c->key_count, c->field_count, 1, REFINING_BUCKETS);
    second.only[0] = &set;
    ok = c->read(c->arg, &second, err) && check_repeated(first, &set, &second, err);
    if (ok) {
        still = mem_alloc(REFINING_BUCKETS * sizeof(bool));
        digest_compare(&second.digest[SIDE_SOURCE], &second.digest[SIDE_SHADOW], still);
        ok = name_all(d, &second, still, &set, err);
    }
    free(still);
    reading_free(&second);
    free(set.take);
    return ok;
}

bool
comparison_run(const struct comparison *c, struct verify_result *result, struct error *err)
{
    struct drill d = {.c = c, .result = result};
    struct reading first;
    bool *differs = NULL;
    bool ok, any;

    reading_init(&first, c->key_count, c->field_count, 0, c->bucket_count);
    ok = c->read(c->arg, &first, err);
    if (!ok)
        goto out;
    result->source_rows = (int64_t)first.digest[SIDE_SOURCE].total.rows;
    result->shadow_rows = (int64_t)first.digest[SIDE_SHADOW].total.rows;
    digest_format(&first.digest[SIDE_SOURCE], result->hash);
    digest_format(&first.digest[SIDE_SHADOW], result->shadow_hash);

    differs = mem_alloc(c->bucket_count * sizeof(bool));
    digest_compare(&first.digest[SIDE_SOURCE], &first.digest[SIDE_SHADOW], differs);
    if (differing_rows(&first, differs, &any) > c->limits->named_rows)
        ok = refine_and_name(&d, &first, differs, err);
    else if (any)
        ok = name_all(&d, &first, differs, NULL, err);
out:
    free(differs);
    reading_free(&first);
    return ok;
}

void
verify_result_free(struct verify_result *r)
{
    for (int i = 0; i < r->kept; i++) {
        struct verify_mismatch *mismatch = &r->mismatches[i];

        for (int k = 0; k < r->key_count; k++)
            free(mismatch->key_values[k]);
        free(mismatch->key_values);
        free(mismatch->key);
    }
    free(r->mismatches);
    memset(r, 0, sizeof(*r));
}
