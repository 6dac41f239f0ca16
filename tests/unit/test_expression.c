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

static void
test_unnamed_operators(void **state)
{
    static const struct {
        const char *text, *form;
    } cases[] = {
        {"CASE mail WHEN 'x' THEN 1 END", "CASE a WHEN b THEN ... END"},
        {"f(nullif(a, 'case'), 1)", "NULLIF(a, b)"},
        {"a IS  /* not */ DISTINCT FROM b", "a IS DISTINCT FROM b"},
        {"a is not distinct from b", "a IS NOT DISTINCT FROM b"},
        {"CASE WHEN a = 'NULLIF(' THEN NULL END", NULL},
        {"a IS NOT NULL AND \"nullif\" > 0", NULL},
        {"'", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct expression_form form = {0};

        assert_int_equal(expression_unnamed_operator(cases[i].text, &form), cases[i].form != NULL);
        if (cases[i].form != NULL)
            assert_string_equal(form.form, cases[i].form);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_expressions),
                                       cmocka_unit_test(test_unnamed_operators)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
