/* The comparison of two sides held in memory: what is found, named and counted, within which limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/buffer.h"
#include "core/error.h"
#include "verify/comparison.h"

/* A row (id int4, value int4); the key's text is id in decimals. */
struct test_row {
    uint32_t id;
    uint32_t value;
};

struct side {
    size_t count;
    struct test_row *rows;
};

struct fixture {
    struct side side[SIDE_COUNT];
    int readings;
    int change_in; /* the reading before which a value of the source changes; 0: never */
};

static void
add_u32(struct buffer *buf, uint32_t value)
{
    char bytes[4] = {(char)(value >> 24), (char)(value >> 16), (char)(value >> 8), (char)value};

    buffer_add(buf, bytes, 4);
}

static void
fill_tuple(struct buffer *tuple, const struct test_row *row, bool with_key)
{
    char text[12];

    buffer_reset(tuple);
    buffer_add(tuple, with_key ? "\0\3" : "\0\2", 2);
    add_u32(tuple, 4);
    add_u32(tuple, row->id);
    add_u32(tuple, 4);
    add_u32(tuple, row->value);
    if (with_key) {
        snprintf(text, sizeof(text), "%u", row->id);
        add_u32(tuple, (uint32_t)strlen(text));
        buffer_add_text(tuple, text);
    }
}

/* Two parts a side, as from two workers. */
static bool
read_tables(void *arg, struct reading *r, struct error *err)
{
    struct fixture *f = arg;
    struct buffer tuple = {0};
    bool ok = true;

    if (++f->readings == f->change_in)
        f->side[SIDE_SOURCE].rows[0].value++;
    for (int side = 0; side < SIDE_COUNT && ok; side++) {
        struct reading_part part;

        reading_part_init(&part, r, (enum verify_side)side);
        for (size_t i = 0; i < f->side[side].count && ok; i++) {
            if (i == f->side[side].count / 2)
                reading_part_hand_over(&part);
            fill_tuple(&tuple, &f->side[side].rows[i], r->keeps_keys);
            ok = reading_part_row(&part, tuple.data, tuple.len, err);
        }
        if (ok)
            reading_part_hand_over(&part);
        reading_part_free(&part);
    }
    buffer_free(&tuple);
    return ok;
}

/* Both sides with ids 1 to count. */
static struct fixture
make_tables(uint32_t count)
{
    struct fixture f = {0};

    for (int side = 0; side < SIDE_COUNT; side++) {
        f.side[side].count = count;
        f.side[side].rows = calloc(count + 1, sizeof(struct test_row));
        for (uint32_t i = 0; i < count; i++)
            f.side[side].rows[i] = (struct test_row){.id = i + 1, .value = 7 * i};
    }
    return f;
}

static void
free_tables(struct fixture *f)
{
    free(f->side[SIDE_SOURCE].rows);
    free(f->side[SIDE_SHADOW].rows);
}

static void
remove_row(struct side *t, uint32_t id)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->rows[i].id == id) {
            t->rows[i] = t->rows[--t->count];
            return;
        }
    }
    fail();
}

static bool
compare(struct fixture *f, const struct comparison_limits *limits, struct verify_result *result,
        struct error *err)
{
    struct comparison c = {.key_count = 1,
                           .field_count = 2,
                           .bucket_count = 1024,
                           .limits = limits,
                           .read = read_tables,
                           .arg = f};

    memset(result, 0, sizeof(*result));
    result->key_count = 1;
    return comparison_run(&c, result, err);
}

/* What is reported of that key; -1: nothing. It must not be there twice. */
static int
difference_of(const struct verify_result *result, const char *key)
{
    int found = -1;

    for (int i = 0; i < result->kept; i++) {
        if (strcmp(result->mismatches[i].key, key) == 0) {
            assert_int_equal(found, -1);
            found = (int)result->mismatches[i].difference;
        }
    }
    return found;
}

static void
test_equal_sides_are_read_once(void **state)
{
    struct fixture f = make_tables(10000);
    struct verify_result result;
    struct error err = {0};
    (void)state;

    assert_true(compare(&f, &comparison_limits, &result, &err));
    assert_int_equal(f.readings, 1);
    assert_int_equal(result.source_rows, 10000);
    assert_int_equal(result.shadow_rows, 10000);
    assert_string_equal(result.hash, result.shadow_hash);
    assert_int_equal(result.mismatch_count, 0);
    assert_false(result.count_is_least);
    verify_result_free(&result);
    free_tables(&f);
}

static void
check_three_differences(const struct comparison_limits *limits, int readings)
{
    struct fixture f = make_tables(10000);
    struct verify_result result;
    struct error err = {0};

    remove_row(&f.side[SIDE_SHADOW], 17);
    remove_row(&f.side[SIDE_SOURCE], 4000);
    f.side[SIDE_SHADOW].rows[6999].value++;
    assert_true(compare(&f, limits, &result, &err));
    assert_int_equal(f.readings, readings);
    assert_string_not_equal(result.hash, result.shadow_hash);
    assert_int_equal(result.mismatch_count, 3);
    assert_false(result.count_is_least);
    assert_int_equal(result.kept, 3);
    assert_int_equal(difference_of(&result, "(17)"), VERIFY_MISSING);
    assert_int_equal(difference_of(&result, "(4000)"), VERIFY_EXTRA);
    assert_int_equal(difference_of(&result, "(7000)"), VERIFY_DIFFERENT);
    verify_result_free(&result);
    free_tables(&f);
}

static void
test_differences_are_named(void **state)
{
    (void)state;
    check_three_differences(&comparison_limits, 2);
}

/* Too many rows in the differing buckets to keep: a reading spreads them first. */
static void
test_refined_before_naming(void **state)
{
    struct comparison_limits limits = comparison_limits;
    (void)state;

    limits.named_rows = 8;
    check_three_differences(&limits, 3);
}

/* The rows of so many keys do not fit one reading; several name them all. */
static void
test_named_in_several_readings(void **state)
{
    struct comparison_limits limits = comparison_limits;
    struct fixture f = make_tables(10000);
    struct verify_result result;
    struct error err = {0};
    (void)state;

    limits.named_rows = 300;
    for (uint32_t i = 0; i < 500; i++)
        f.side[SIDE_SOURCE].rows[i].value++;
    assert_true(compare(&f, &limits, &result, &err));
    assert_in_range(f.readings, 5, 6);
    assert_int_equal(result.mismatch_count, 500);
    assert_int_equal(result.kept, 500);
    assert_false(result.count_is_least);
    verify_result_free(&result);
    free_tables(&f);
}

/* More than can be looked into: the count is a least one, says so, and never too high. */
static void
test_count_is_least_beyond_the_limits(void **state)
{
    struct comparison_limits limits = comparison_limits;
    struct fixture f = make_tables(10000);
    struct verify_result result;
    struct error err = {0};
    (void)state;

    limits.named_rows = 1000;
    limits.naming_readings = 2;
    for (uint32_t i = 0; i < 10000; i++)
        f.side[SIDE_SOURCE].rows[i].value++;
    assert_true(compare(&f, &limits, &result, &err));
    assert_true(result.count_is_least);
    assert_in_range(result.mismatch_count, 2000, 10000);
    assert_in_range(result.kept, 900, 1000);
    verify_result_free(&result);
    free_tables(&f);
}

static void
test_a_lost_side_is_counted(void **state)
{
    struct comparison_limits limits = comparison_limits;
    struct fixture f = make_tables(10000);
    struct verify_result result;
    struct error err = {0};
    (void)state;

    limits.named_rows = 1000;
    limits.naming_readings = 1;
    f.side[SIDE_SHADOW].count = 0;
    assert_true(compare(&f, &limits, &result, &err));
    assert_int_equal(result.mismatch_count, 10000); /* exact here: every key is a row that one side lacks */
    verify_result_free(&result);
    free_tables(&f);
}

/* All keys are counted, so many kept as the limits allow. */
static void
test_kept_are_limited(void **state)
{
    struct comparison_limits limits = comparison_limits;
    struct fixture f = make_tables(1000);
    struct verify_result result;
    struct error err = {0};
    (void)state;

    for (uint32_t i = 0; i < 1000; i++)
        f.side[SIDE_SOURCE].rows[i].value++;
    limits.mismatches = 10;
    assert_true(compare(&f, &limits, &result, &err));
    assert_int_equal(result.mismatch_count, 1000);
    assert_int_equal(result.kept, 10);
    verify_result_free(&result);

    limits = comparison_limits;
    limits.result_bytes = 100;
    assert_true(compare(&f, &limits, &result, &err));
    assert_int_equal(result.mismatch_count, 1000);
    assert_in_range(result.kept, 10, 20);
    verify_result_free(&result);

    limits = comparison_limits;
    limits.key_bytes = 100; /* of both sides, while reading */
    assert_true(compare(&f, &limits, &result, &err));
    assert_int_equal(result.mismatch_count, 1000);
    assert_in_range(result.kept, 10, 20);
    verify_result_free(&result);
    free_tables(&f);
}

/* The shadow has a row twice: one key, different. */
static void
test_a_duplicate_is_one_key(void **state)
{
    struct fixture f = make_tables(100);
    struct verify_result result;
    struct error err = {0};
    (void)state;

    f.side[SIDE_SHADOW].rows[f.side[SIDE_SHADOW].count++] = f.side[SIDE_SHADOW].rows[4];
    assert_true(compare(&f, &comparison_limits, &result, &err));
    assert_int_equal(result.mismatch_count, 1);
    assert_int_equal(difference_of(&result, "(5)"), VERIFY_DIFFERENT);
    assert_string_equal(result.mismatches[0].key_values[0], "5");
    verify_result_free(&result);
    free_tables(&f);
}

/* Sides that do not stand still are not reported on. */
static void
test_unrepeatable_reading_fails(void **state)
{
    struct fixture f = make_tables(100);
    struct verify_result result;
    struct error err = {0};
    (void)state;

    f.side[SIDE_SHADOW].rows[0].value++;
    f.change_in = 2;
    assert_false(compare(&f, &comparison_limits, &result, &err));
    assert_string_equal(err.message, "reading the original table again gave other rows than before");
    assert_non_null(err.hint);
    error_clear(&err);
    verify_result_free(&result);
    free_tables(&f);
}

static void
test_empty_sides(void **state)
{
    struct fixture f = make_tables(0);
    struct verify_result result;
    struct error err = {0};
    (void)state;

    assert_true(compare(&f, &comparison_limits, &result, &err));
    assert_int_equal(result.mismatch_count, 0);
    assert_string_equal(result.hash, result.shadow_hash);
    verify_result_free(&result);
    free_tables(&f);
}

/* A row of other fields than asked for is an error, not a difference. */
static void
test_wrong_fields_are_refused(void **state)
{
    struct reading r;
    struct reading_part part;
    struct buffer tuple = {0};
    struct test_row row = {.id = 1, .value = 2};
    struct error err = {0};
    (void)state;

    reading_init(&r, 1, 2, 0, 1024);
    reading_part_init(&part, &r, SIDE_SOURCE);
    fill_tuple(&tuple, &row, true);
    assert_false(reading_part_row(&part, tuple.data, tuple.len, &err));
    assert_string_equal(err.message, "a row of the comparison has not the fields that were asked for");
    error_clear(&err);
    reading_part_free(&part);
    reading_free(&r);
    buffer_free(&tuple);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_sides_are_read_once),
        cmocka_unit_test(test_differences_are_named),
        cmocka_unit_test(test_refined_before_naming),
        cmocka_unit_test(test_named_in_several_readings),
        cmocka_unit_test(test_count_is_least_beyond_the_limits),
        cmocka_unit_test(test_a_lost_side_is_counted),
        cmocka_unit_test(test_kept_are_limited),
        cmocka_unit_test(test_a_duplicate_is_one_key),
        cmocka_unit_test(test_unrepeatable_reading_fails),
        cmocka_unit_test(test_empty_sides),
        cmocka_unit_test(test_wrong_fields_are_refused),
    };

    return cmocka_run_group_tests_name("comparison", tests, NULL, NULL);
}
