/* The reader of binary COPY: every split of the stream, and everything it refuses. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "verify/copy_reader.h"

#define HEADER "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"
#define TRAILER "\377\377"

/* Recorded from PostgreSQL 15: COPY (SELECT 1, 'ab'::text, NULL::int UNION ALL SELECT 2, '', 7) TO STDOUT
 * (FORMAT binary). */
static const char recorded[] = HEADER "\0\3\0\0\0\4\0\0\0\1\0\0\0\2ab\377\377\377\377"
                                      "\0\3\0\0\0\4\0\0\0\2\0\0\0\0\0\0\0\4\0\0\0\7" TRAILER;
#define RECORDED_LEN (sizeof(recorded) - 1)

static bool
collect(void *arg, const void *tuple, size_t len, struct error *err)
{
    (void)err;
    buffer_add(arg, tuple, len);
    return true;
}

static bool
refuse(void *arg, const void *tuple, size_t len, struct error *err)
{
    (void)arg, (void)tuple, (void)len;
    return error_set(err, ERROR_FAILED, "no more");
}

/* Feed the stream in pieces of that size; true when all of it was taken. */
static bool
read_pieces(struct copy_reader *r, const char *data, size_t len, size_t piece, struct error *err)
{
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        char *copy = malloc(n); /* exact, so that a checker of memory sees every read too far */
        bool ok;

        memcpy(copy, data + at, n);
        ok = copy_reader_feed(r, copy, n, err);
        free(copy);
        if (!ok)
            return false;
    }
    return copy_reader_end(r, err);
}

static void
test_every_split_gives_the_tuples(void **state)
{
    (void)state;

    for (size_t piece = 1; piece <= RECORDED_LEN; piece++) {
        struct buffer tuples = {0};
        struct copy_reader r;
        struct error err = {0};

        copy_reader_init(&r, collect, &tuples);
        assert_true(read_pieces(&r, recorded, RECORDED_LEN, piece, &err));
        assert_int_equal(r.tuples, 2);
        assert_int_equal(tuples.len, RECORDED_LEN - 19 - 2);
        assert_memory_equal(tuples.data, recorded + 19, tuples.len);
        copy_reader_free(&r);
        buffer_free(&tuples);
    }
}

static void
test_large_fields_in_small_pieces(void **state)
{
    struct buffer stream = {0}, tuples = {0};
    struct copy_reader r;
    struct error err = {0};
    const size_t large = 3 * 1024 * 1024;
    (void)state;

    buffer_add(&stream, HEADER, sizeof(HEADER) - 1);
    for (int i = 0; i < 2; i++) {
        buffer_add(&stream, "\0\2\0\60\0\0", 6);
        memset(buffer_reserve(&stream, large), 'x', large);
        stream.len += large;
        buffer_add(&stream, "\377\377\377\377", 4);
    }
    buffer_add(&stream, TRAILER, 2);
    copy_reader_init(&r, collect, &tuples);
    assert_true(read_pieces(&r, stream.data, stream.len, 1000, &err));
    assert_int_equal(tuples.len, 2 * (6 + large + 4));
    copy_reader_free(&r);
    buffer_free(&tuples);
    buffer_free(&stream);
}

static void
test_no_rows_and_rows_without_fields(void **state)
{
    static const char empty[] = HEADER TRAILER, hollow[] = HEADER "\0\0\0\0" TRAILER;
    struct buffer tuples = {0};
    struct copy_reader r;
    struct error err = {0};
    (void)state;

    copy_reader_init(&r, collect, &tuples);
    assert_true(read_pieces(&r, empty, sizeof(empty) - 1, 100, &err));
    assert_int_equal(r.tuples, 0);
    copy_reader_free(&r);
    copy_reader_init(&r, collect, &tuples);
    assert_true(read_pieces(&r, hollow, sizeof(hollow) - 1, 3, &err));
    assert_int_equal(r.tuples, 2);
    copy_reader_free(&r);
    buffer_free(&tuples);
}

static void
test_header_extension_is_skipped(void **state)
{
    static const char stream[] = "PGCOPY\n\377\r\n\0\0\0\0\1\0\0\0\5hello" TRAILER;
    struct buffer tuples = {0};
    struct copy_reader r;
    struct error err = {0};
    (void)state;

    copy_reader_init(&r, collect, &tuples);
    assert_true(read_pieces(&r, stream, sizeof(stream) - 1, 1, &err));
    copy_reader_free(&r);
    buffer_free(&tuples);
}

static void
assert_refused(const char *data, size_t len, const char *message)
{
    static const size_t pieces[] = {1, 4, 1000};

    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct buffer tuples = {0};
        struct copy_reader r;
        struct error err = {0};

        copy_reader_init(&r, collect, &tuples);
        assert_false(read_pieces(&r, data, len, pieces[i], &err));
        assert_string_equal(err.message, message);
        error_clear(&err);
        copy_reader_free(&r);
        buffer_free(&tuples);
    }
}

#define REFUSED(stream, what)                                                                                \
    assert_refused(stream, sizeof(stream) - 1, "the server sent no valid binary COPY: " what)

static void
test_malformed_streams_are_refused(void **state)
{
    (void)state;

    REFUSED("PGCOPY\n\377\n\n\0\0\0\0\0\0\0\0\0", "wrong signature");
    REFUSED("PGCOPY\n\377\r\n\0\0\1\0\0\0\0\0\0", "unknown critical flags");
    REFUSED("PGCOPY\n\377\r\n\0\200\0\0\0\0\0\0\0", "unknown critical flags");
    REFUSED("PGCOPY\n\377\r\n\0\0\0\0\0\0\1\0\1", "header extension too long");
    REFUSED(HEADER "\377\376", "impossible number of fields");
    REFUSED(HEADER "\6\201", "impossible number of fields");
    REFUSED(HEADER "\0\1\377\377\377\376", "impossible length of a field");
    REFUSED(HEADER "\0\1\100\0\0\0", "impossible length of a field");
    REFUSED(HEADER TRAILER "\0", "bytes after the trailer");
    REFUSED(HEADER TRAILER TRAILER, "bytes after the trailer");
}

/* Wherever the stream is cut off, it is noticed at the end. */
static void
test_missing_end_is_refused(void **state)
{
    (void)state;

    for (size_t len = 0; len < RECORDED_LEN; len++) {
        struct buffer tuples = {0};
        struct copy_reader r;
        struct error err = {0};

        copy_reader_init(&r, collect, &tuples);
        assert_false(read_pieces(&r, recorded, len, 7, &err));
        assert_error_begins(&err, "the server's binary COPY ended before its trailer, after ");
        copy_reader_free(&r);
        buffer_free(&tuples);
    }
}

static void
test_the_taker_can_end_it(void **state)
{
    struct copy_reader r;
    struct error err = {0};
    (void)state;

    copy_reader_init(&r, refuse, NULL);
    assert_false(copy_reader_feed(&r, recorded, RECORDED_LEN, &err));
    assert_string_equal(err.message, "no more");
    error_clear(&err);
    copy_reader_free(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split_gives_the_tuples),
        cmocka_unit_test(test_large_fields_in_small_pieces),
        cmocka_unit_test(test_no_rows_and_rows_without_fields),
        cmocka_unit_test(test_header_extension_is_skipped),
        cmocka_unit_test(test_malformed_streams_are_refused),
        cmocka_unit_test(test_missing_end_is_refused),
        cmocka_unit_test(test_the_taker_can_end_it),
    };

    return cmocka_run_group_tests_name("copy_reader", tests, NULL, NULL);
}
