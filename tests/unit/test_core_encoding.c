/* Texts in the encoding of a database, shown in UTF-8 (src/core/encoding.c). */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "core/encoding.h"

static void
assert_shown(const char *encoding, const char *text, const char *expected)
{
    char *shown = encoding_shown(encoding, text, strlen(text));

    assert_string_equal(shown, expected);
    free(shown);
}

static void
test_shown(void **state)
{
    (void)state;
    assert_shown(NULL, "", "");
    assert_shown("EUC_JP", "plain", "plain");
    assert_shown("LATIN1", "\xe9t\xe9", "\xc3\xa9t\xc3\xa9");
    assert_shown("KOI8R", "\xd6\xd5\xcb", "\xd0\xb6\xd1\x83\xd0\xba");
    assert_shown("WIN1252", "a\x81\x80z", "a\\x81\xe2\x82\xacz");
    assert_shown("SQL_ASCII", "\xc3\xa9 \xe9z \xc3", "\xc3\xa9 \\xe9z \\xc3");
    assert_shown(NULL, "\xff\xc3\xa9", "\\xff\xc3\xa9");
    assert_shown("MULE_INTERNAL", "a\x81\xe9", "a\\x81\\xe9");
}

static void
test_exact_or_nothing(void **state)
{
    struct buffer out = {0};

    (void)state;
    buffer_add_text(&out, "<");
    assert_false(encoding_to_utf8("WIN1252", "a\x81", 2, &out));
    assert_string_equal(out.data, "<");
    assert_false(encoding_to_utf8("MULE_INTERNAL", "\x81\xe9", 2, &out));
    assert_true(encoding_to_utf8("LATIN9", "\xa4", 1, &out));
    assert_string_equal(out.data, "<\xe2\x82\xac");
    buffer_free(&out);
}

/* Longer than the room that is converted at a time, with characters across its end. */
static void
test_long_text(void **state)
{
    char text[3001];
    char *shown;

    (void)state;
    memset(text, '\xe9', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    shown = encoding_shown("LATIN1", text, sizeof(text) - 1);
    assert_int_equal(strlen(shown), 2 * (sizeof(text) - 1));
    for (size_t i = 0; i < strlen(shown); i += 2)
        assert_memory_equal(shown + i, "\xc3\xa9", 2);
    free(shown);
}

static void
test_numbers(void **state)
{
    (void)state;
    assert_int_equal(encoding_number(NULL), 0);
    assert_int_equal(encoding_number("UTF8"), 0);
    assert_int_equal(encoding_number("NEVER_HEARD"), 0);
    assert_null(encoding_numbered(0));
    assert_null(encoding_numbered(1000));
    assert_string_equal(encoding_numbered(encoding_number("KOI8U")), "KOI8U");
    assert_int_equal(encoding_number("SQL_ASCII"), 1); /* it is in files */
}

static void
test_hex(void **state)
{
    struct buffer out = {0};
    char *bytes = encoding_unhex("00e9Ff");

    (void)state;
    assert_memory_equal(bytes, "\x00\xe9\xff", 4);
    encoding_add_hex(&out, bytes, 3);
    assert_string_equal(out.data, "00e9ff");
    assert_null(encoding_unhex(NULL));
    buffer_free(&out);
    free(bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shown),     cmocka_unit_test(test_exact_or_nothing),
        cmocka_unit_test(test_long_text), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_hex),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
