/* The digest of rows: order, merging, buckets, what it refuses, and that its format never changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/buffer.h"
#include "core/error.h"
#include "verify/digest.h"

#define ROWS 5000

static void
add_u16(struct buffer *buf, unsigned value)
{
    buffer_add_char(buf, (char)(value >> 8));
    buffer_add_char(buf, (char)value);
}

static void
add_u32(struct buffer *buf, uint32_t value)
{
    add_u16(buf, value >> 16);
    add_u16(buf, value & 0xffff);
}

static void
add_field(struct buffer *buf, const void *data, size_t len)
{
    add_u32(buf, (uint32_t)len);
    buffer_add(buf, data, len);
}

/* (id int4, name text, note null) */
static struct buffer
make_tuple(uint32_t id, const char *name)
{
    struct buffer tuple = {0};

    add_u16(&tuple, 3);
    add_u32(&tuple, 4);
    add_u32(&tuple, id);
    add_field(&tuple, name, strlen(name));
    add_u32(&tuple, UINT32_MAX);
    return tuple;
}

static struct digest_row
hash_tuple(struct buffer *tuple, int key_count)
{
    struct digest_row row;
    struct error err = {0};

    assert_true(digest_hash_row(tuple->data, tuple->len, key_count, &row, &err));
    return row;
}

static struct digest_row
hash_of(uint32_t id, const char *name)
{
    struct buffer tuple = make_tuple(id, name);
    struct digest_row row = hash_tuple(&tuple, 1);

    buffer_free(&tuple);
    return row;
}

static void
add_row(struct digest *d, uint32_t id, const char *name)
{
    struct digest_row row = hash_of(id, name);

    digest_add(d, &row);
}

static uint32_t
count_differing(const struct digest *a, const struct digest *b)
{
    bool *differs = calloc(a->bucket_count, sizeof(bool));
    uint32_t count = digest_compare(a, b, differs), marked = 0;

    for (uint32_t i = 0; i < a->bucket_count; i++)
        marked += differs[i] ? 1 : 0;
    assert_int_equal(marked, count);
    free(differs);
    return count;
}

static void
test_order_does_not_matter(void **state)
{
    struct digest up, down;
    char a[33], b[33];
    (void)state;

    digest_init(&up, 1, 1024);
    digest_init(&down, 1, 1024);
    for (uint32_t i = 0; i < ROWS; i++)
        add_row(&up, i, "x");
    for (uint32_t i = ROWS; i > 0; i--)
        add_row(&down, i - 1, "x");
    assert_int_equal(count_differing(&up, &down), 0);
    assert_string_equal(digest_format(&up, a), digest_format(&down, b));
    assert_int_equal(up.total.rows, ROWS);
    digest_free(&up);
    digest_free(&down);
}

static void
test_merged_parts_equal_the_whole(void **state)
{
    struct digest whole, merged, part[3];
    char a[33], b[33];
    (void)state;

    digest_init(&whole, 1, 1024);
    digest_init(&merged, 1, 1024);
    for (int i = 0; i < 3; i++)
        digest_init(&part[i], 1, 1024);
    for (uint32_t i = 0; i < ROWS; i++) {
        add_row(&whole, i, "x");
        add_row(&part[i % 3], i, "x");
    }
    for (int i = 0; i < 3; i++)
        digest_merge(&merged, &part[i]);
    assert_int_equal(count_differing(&whole, &merged), 0);
    assert_string_equal(digest_format(&whole, a), digest_format(&merged, b));

    digest_clear(&part[0]);
    assert_int_equal(part[0].total.rows, 0);
    digest_merge(&merged, &part[0]);
    assert_int_equal(count_differing(&whole, &merged), 0);
    for (int i = 0; i < 3; i++)
        digest_free(&part[i]);
    digest_free(&merged);
    digest_free(&whole);
}

/* The sum is modulo 2^128: a carry out of the low half reaches the high one, and one out of that is lost. */
static void
test_sums_carry(void **state)
{
    struct digest_sum sum = {.low = UINT64_MAX, .high = UINT64_MAX, .rows = 1};
    const struct digest_sum one = {.low = 1, .high = 0, .rows = 1};
    const struct digest_sum zero_two = {.low = 0, .high = 0, .rows = 2};
    (void)state;

    digest_sum_add(&sum, &one);
    assert_true(digest_sum_equal(&sum, &zero_two));
}

/* Every single bit of a row counts, in whatever field, lengths included. */
static void
test_single_bits_are_found(void **state)
{
    struct buffer tuple =
        make_tuple(42, "some text that is long enough for the long input path of the hash, "
                       "which begins beyond two hundred and forty bytes; so here is more of it, "
                       "and more, and still more, until there can be no doubt about its length: "
                       "it passes the limit with some bytes to spare");
    struct digest a, b;
    struct digest_row row = hash_tuple(&tuple, 1);
    (void)state;

    assert_true(tuple.len > 256);
    digest_init(&a, 1, 1024);
    digest_add(&a, &row);
    for (size_t bit = 0; bit < (tuple.len - 4) * 8; bit++) {
        struct digest_row changed;
        struct error err = {0};

        tuple.data[bit / 8] ^= (char)(1 << bit % 8);
        if (digest_hash_row(tuple.data, tuple.len, 1, &changed, &err)) {
            digest_init(&b, 1, 1024);
            digest_add(&b, &changed);
            assert_in_range(count_differing(&a, &b), 1, 2);
            digest_free(&b);
        } else {
            assert_true(bit / 8 < 6 || (bit / 8 >= 10 && bit / 8 < 14)); /* a count or a length */
            error_clear(&err);
        }
        tuple.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    digest_free(&a);
    buffer_free(&tuple);
}

/* One changed row among many shows in its bucket and in no other. */
static void
test_only_its_bucket_differs(void **state)
{
    struct digest a, b;
    bool *differs = calloc(1024, sizeof(bool));
    (void)state;

    digest_init(&a, 1, 1024);
    digest_init(&b, 1, 1024);
    for (uint32_t i = 0; i < ROWS; i++) {
        add_row(&a, i, "x");
        add_row(&b, i, i == 1234 ? "y" : "x");
    }
    assert_int_equal(digest_compare(&a, &b, differs), 1);
    assert_true(differs[digest_bucket_of(&a, hash_of(1234, "x").key_hash)]);
    digest_free(&a);
    digest_free(&b);
    free(differs);
}

/* Twice the same row is not the same as once, nor as not at all (as it would be with XOR). */
static void
test_duplicates_count(void **state)
{
    struct digest none, once, twice;
    (void)state;

    digest_init(&none, 1, 1024);
    digest_init(&once, 1, 1024);
    digest_init(&twice, 1, 1024);
    add_row(&once, 1, "x");
    add_row(&twice, 1, "x");
    add_row(&twice, 1, "x");
    assert_int_equal(count_differing(&once, &twice), 1);
    assert_int_equal(count_differing(&none, &twice), 1);
    assert_int_equal(twice.total.rows, 2);
    digest_free(&none);
    digest_free(&once);
    digest_free(&twice);
}

/* Where a field ends is part of the row; NULL is not the empty string. */
static void
test_fields_are_kept_apart(void **state)
{
    struct digest_row rows[4];
    struct buffer tuple = {0};
    static const char *const values[3][2] = {{"ab", "c"}, {"a", "bc"}, {"abc", ""}};
    (void)state;

    for (int i = 0; i < 3; i++) {
        buffer_reset(&tuple);
        add_u16(&tuple, 2);
        add_field(&tuple, values[i][0], strlen(values[i][0]));
        add_field(&tuple, values[i][1], strlen(values[i][1]));
        rows[i] = hash_tuple(&tuple, 1);
    }
    buffer_reset(&tuple);
    add_u16(&tuple, 2);
    add_field(&tuple, "abc", 3);
    add_u32(&tuple, UINT32_MAX);
    rows[3] = hash_tuple(&tuple, 1);
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < i; j++)
            assert_true(rows[i].low != rows[j].low && rows[i].high != rows[j].high);
    }
    assert_true(rows[2].key_hash == rows[3].key_hash);
    assert_true(rows[0].key_hash != rows[1].key_hash);
    buffer_free(&tuple);
}

/* Fields after those that are compared change nothing. */
static void
test_more_fields_may_follow(void **state)
{
    struct buffer tuple = make_tuple(7, "x");
    struct digest_row plain = hash_tuple(&tuple, 1), longer;
    struct error err = {0};
    size_t before = tuple.len, used = 0;
    (void)state;

    add_field(&tuple, "7", 1);
    tuple.data[1] = 4;
    assert_true(digest_hash_fields(tuple.data, tuple.len, 1, 3, &longer, &used, &err));
    assert_int_equal(used, before);
    assert_memory_equal(&plain, &longer, sizeof(plain));
    buffer_free(&tuple);
}

static void
assert_refused(const void *tuple, size_t len, int key_count, const char *message)
{
    struct digest_row row;
    struct error err = {0};

    assert_false(digest_hash_row(tuple, len, key_count, &row, &err));
    assert_int_equal(err.kind, ERROR_FAILED);
    assert_string_equal(err.message, message);
    error_clear(&err);
}

static void
test_malformed_tuples_are_refused(void **state)
{
    struct buffer tuple = make_tuple(1, "abc");
    (void)state;

    assert_refused(tuple.data, 0, 1, "a row of a binary COPY lacks the 1 field of its key");
    assert_refused(tuple.data, 1, 1, "a row of a binary COPY lacks the 1 field of its key");
    for (size_t len = 2; len < tuple.len; len++)
        assert_refused(tuple.data, len, 1, "a row of a binary COPY ends within a field");
    assert_refused(tuple.data, tuple.len, 4, "a row of a binary COPY lacks the 4 fields of its key");
    assert_refused("\xff\xff", 2, 1, "a row of a binary COPY lacks the 1 field of its key");
    buffer_add_char(&tuple, 'x');
    assert_refused(tuple.data, tuple.len, 1, "a row of a binary COPY has 1 byte after its last field");
    tuple.data[2] = (char)0xff; /* the length of the first field: below -1 */
    assert_refused(tuple.data, tuple.len, 1, "a row of a binary COPY ends within a field");
    buffer_free(&tuple);
}

static void
test_bucket_counts(void **state)
{
    (void)state;

    assert_int_equal(digest_buckets_for(-1), 1024);
    assert_int_equal(digest_buckets_for(0), 1024);
    assert_int_equal(digest_buckets_for(1024 * 256), 1024);
    assert_int_equal(digest_buckets_for(1024 * 256 + 1), 2048);
    assert_int_equal(digest_buckets_for(1000000), 4096);
    assert_int_equal(digest_buckets_for(INT64_MAX), 8192);
}

/* The text is in users' reports: it may never change, nor depend on the number of buckets. */
static void
test_format_is_stable(void **state)
{
    static const uint32_t bucket_counts[] = {1024, 65536};
    char text[33];
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        struct digest d;

        digest_init(&d, 1, bucket_counts[i]);
        assert_string_equal(digest_format(&d, text), "10e45c7ce2292320743df94ee4c78a2a");
        for (uint32_t id = 1; id <= 1000; id++)
            add_row(&d, id, id % 2 == 0 ? "even" : "odd \xc3\xa4");
        assert_string_equal(digest_format(&d, text), "60e4c998726f5cb2a1a27701e9b32bae");
        digest_free(&d);
    }
    assert_true(hash_of(1, "odd").key_hash == 0x49d91ade4c7d7f88ULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_merged_parts_equal_the_whole),
        cmocka_unit_test(test_sums_carry),
        cmocka_unit_test(test_single_bits_are_found),
        cmocka_unit_test(test_only_its_bucket_differs),
        cmocka_unit_test(test_duplicates_count),
        cmocka_unit_test(test_fields_are_kept_apart),
        cmocka_unit_test(test_more_fields_may_follow),
        cmocka_unit_test(test_malformed_tuples_are_refused),
        cmocka_unit_test(test_bucket_counts),
        cmocka_unit_test(test_format_is_stable),
    };

    return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
