#include "support.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

/* Names and values that need care, all in UTF-8. */
static const char *const texts[] = {
    "",
    "plain",
    "Mixed Case",
    "with \"double\" quotes",
    "with 'single' quotes",
    "\"",
    "'",
    "''\"\"",
    "back\\slash",
    "\\",
    "\\'",
    "a \\ and a '",
    "Schl\303\274ssel",
    "\344\272\272\360\237\220\230",
    "new\nline\tand tab",
    "; DROP TABLE x; --",
    "$1 %s ?",
    "a name of sixty-three bytes, which is the longest a server takes",
};
#define TEXT_COUNT (sizeof(texts) / sizeof(texts[0]))

static void
test_add_and_reset(void **state)
{
    struct buffer buf = {0};

    (void)state;
    buffer_add(&buf, "ab\0cd", 5);
    buffer_add_char(&buf, 'e');
    buffer_add_text(&buf, "fg");
    buffer_printf(&buf, "%d-%s", 42, "h");
    assert_int_equal(buf.len, 12);
    assert_memory_equal(buf.data, "ab\0cdefg42-h", 13);
    buffer_reset(&buf);
    assert_int_equal(buf.len, 0);
    assert_string_equal(buf.data, "");
    buffer_free(&buf);
    assert_null(buf.data);
}

static void
test_grows_by_pieces(void **state)
{
    struct buffer buf = {0};

    (void)state;
    for (int i = 0; i < 100000; i++)
        buffer_add_char(&buf, (char)('a' + i % 26));
    assert_int_equal(buf.len, 100000);
    assert_int_equal(strlen(buf.data), 100000);
    for (size_t i = 0; i < buf.len; i++)
        assert_int_equal(buf.data[i], 'a' + (int)(i % 26));
    buffer_free(&buf);
}

static void
test_shrink_releases_only_what_is_large(void **state)
{
    struct buffer buf = {0};

    (void)state;
    buffer_reserve(&buf, 1000);
    buffer_shrink(&buf, 4096);
    assert_non_null(buf.data);
    buffer_reserve(&buf, 1000000);
    buffer_shrink(&buf, 4096);
    assert_null(buf.data);
    assert_int_equal(buf.cap, 0);
    buffer_add_text(&buf, "usable");
    assert_string_equal(buf.data, "usable");
    buffer_free(&buf);
}

static void
test_take_is_never_null(void **state)
{
    struct buffer buf = {0};
    char *text = buffer_take(&buf);

    (void)state;
    assert_string_equal(text, "");
    free(text);
    buffer_add_text(&buf, "content");
    text = buffer_take(&buf);
    assert_string_equal(text, "content");
    assert_null(buf.data);
    assert_int_equal(buf.len, 0);
    free(text);
}

static void
test_printf_of_nothing(void **state)
{
    struct buffer buf = {0};

    (void)state;
    buffer_printf(&buf, "%s", "");
    assert_int_equal(buf.len, 0);
    buffer_add_text(&buf, "x");
    buffer_printf(&buf, "%s", "");
    assert_string_equal(buf.data, "x");
    buffer_free(&buf);
}

/* libpq quotes without a server, but not without a connection object. */
static int
connection_setup(void **state)
{
    *state = PQconnectStart("host=/nonexistent dbname=none");
    return *state == NULL ? -1 : 0;
}

static int
connection_teardown(void **state)
{
    PQfinish(*state);
    return 0;
}

static void
test_identifiers_as_libpq_quotes_them(void **state)
{
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        char *expected = PQescapeIdentifier(*state, texts[i], strlen(texts[i]));
        struct buffer buf = {0};

        assert_non_null(expected);
        buffer_add_identifier(&buf, texts[i]);
        assert_string_equal(buf.data, expected);
        buffer_free(&buf);
        PQfreemem(expected);
    }
}

static void
test_literals_as_libpq_quotes_them(void **state)
{
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        char *expected = PQescapeLiteral(*state, texts[i], strlen(texts[i]));
        struct buffer buf = {0};

        assert_non_null(expected);
        buffer_add_literal(&buf, texts[i]);
        assert_string_equal(buf.data, expected);
        buffer_free(&buf);
        PQfreemem(expected);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_and_reset),
        cmocka_unit_test(test_grows_by_pieces),
        cmocka_unit_test(test_shrink_releases_only_what_is_large),
        cmocka_unit_test(test_take_is_never_null),
        cmocka_unit_test(test_printf_of_nothing),
        cmocka_unit_test_setup_teardown(test_identifiers_as_libpq_quotes_them, connection_setup,
                                        connection_teardown),
        cmocka_unit_test_setup_teardown(test_literals_as_libpq_quotes_them, connection_setup,
                                        connection_teardown),
    };

    return cmocka_run_group_tests_name("core/buffer", tests, NULL, NULL);
}
