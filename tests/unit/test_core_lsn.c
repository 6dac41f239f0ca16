#include "support.h"

static const struct {
    const char *text;
    lsn_t lsn;
} pairs[] = {
    {"0/0", 0},
    {"0/1", 1},
    {"16/B374D848", UINT64_C(0x16B374D848)},
    {"FFFFFFFF/FFFFFFFF", UINT64_MAX},
    {"1/0", UINT64_C(0x100000000)},
};

static void
test_format(void **state)
{
    char text[LSN_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        assert_string_equal(lsn_format(pairs[i].lsn, text), pairs[i].text);
}

static void
test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        lsn_t lsn = 42;

        assert_true(lsn_parse(pairs[i].text, &lsn));
        assert_true(lsn == pairs[i].lsn);
    }
}

static void
test_parse_takes_small_letters_and_zeros(void **state)
{
    lsn_t lsn;

    (void)state;
    assert_true(lsn_parse("00000016/b374d848", &lsn));
    assert_true(lsn == UINT64_C(0x16B374D848));
}

static void
test_parse_refuses(void **state)
{
    static const char *const bad[] = {"",      "/",     "1",           "1/",          "/1",
                                      "1/2/3", "1/2 ",  " 1/2",        "0x1/0x2",     "g/1",
                                      "1/-2",  "1.5/2", "123456789/0", "0/123456789", "1/2\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        lsn_t lsn = 42;

        if (lsn_parse(bad[i], &lsn))
            fail_msg("\"%s\" was taken for an LSN", bad[i]);
        assert_int_equal(lsn, 42);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_takes_small_letters_and_zeros),
        cmocka_unit_test(test_parse_refuses),
    };

    return cmocka_run_group_tests_name("core/lsn", tests, NULL, NULL);
}
