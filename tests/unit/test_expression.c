/* What may stand in a --reverse-map: one expression, and nothing that ends the parentheses around it. */
#include "support.h"

#include "parse/expression.h"

static void
test_expressions(void **state)
{
    static const char *const good[] = {
        "a", "a + 1 -- the old way", "CASE WHEN a > 0 THEN (b)::int END", "')'", "f(a, (b))", "$$)$$",
    };
    static const char *const bad[] = {
        "",
        "a b c",
        "(",
        "a)",
        "a) , (b",
        "a) FROM (b",
        "1) UNION (SELECT 2",
        "1); SELECT (2",
        "a -- )\n) , (b",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct error err = {0};

        assert_ok(expression_check(good[i], &err), &err);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error err = {0};

        if (expression_check(bad[i], &err))
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(err.kind, ERROR_USAGE);
        error_clear(&err);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_expressions)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
