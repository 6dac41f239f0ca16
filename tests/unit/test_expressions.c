/* What expressions use: which differences follow from new types, and which do not; comparisons of rows. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/expressions.h"
#include "core/mem.h"
#include "row_operators.h"

/* Its strings are constants, and nothing is freed. */
static struct use
a_use(const char *kind, const char *identity, const char *name, const char *arguments, const char *result)
{
    return (struct use){.part = (char *)"condition",
                        .kind = (char *)kind,
                        .identity = (char *)identity,
                        .schema = (char *)"any",
                        .name = (char *)name,
                        .arguments = (char *)arguments,
                        .result = (char *)result};
}

#define OPERATOR(identity, name, arguments, result) a_use("operator", identity, name, arguments, result)
#define FUNCTION(identity, name, arguments, result) a_use("function", identity, name, arguments, result)

static void
check(struct use *before, int before_count, struct use *now, int now_count, const char *type,
      const char *expected)
{
    struct uses a = {before_count, before}, b = {now_count, now};
    struct string_list types = {0};
    char *difference;

    if (type != NULL)
        uses_add_type(&types, type);
    difference = uses_difference(&a, &b, &types);
    if (expected == NULL)
        assert_null(difference);
    else
        assert_string_equal(difference, expected);
    free(difference);
    list_free(&types);
}

static void
test_same_types(void **state)
{
    struct use own = OPERATOR("public.=(public.citext,public.citext)",
                              "public.=", "public.citext,public.citext", "boolean");
    struct use text = OPERATOR("=(text,text)", "pg_catalog.=", "text,text", "boolean");
    struct use two[] = {own, text};

    (void)state;
    check(&own, 1, &own, 1, NULL, NULL);
    check(&own, 1, &text, 1, NULL,
          "its condition uses operator =(text,text) instead of public.=(public.citext,public.citext)");
    check(&own, 1, &text, 1, "bigint",
          "its condition uses operator =(text,text) instead of public.=(public.citext,public.citext)");
    check(&own, 1, two, 2, NULL, "its condition uses operator =(text,text) as well");
    check(two, 2, &own, 1, NULL, "its condition no longer uses operator =(text,text)");
}

static void
test_new_types(void **state)
{
    struct use int4 = OPERATOR(">(integer,integer)", "pg_catalog.>", "integer,integer", "boolean");
    struct use int84 = OPERATOR(">(bigint,integer)", "pg_catalog.>", "bigint,integer", "boolean");
    struct use less = OPERATOR("<(bigint,integer)", "pg_catalog.<", "bigint,integer", "boolean");
    struct use numeric[] = {OPERATOR(">(numeric,numeric)", "pg_catalog.>", "numeric,numeric", "boolean"),
                            FUNCTION("numeric(integer)", "pg_catalog.numeric", "integer", "numeric")};

    (void)state;
    numeric[1].is_cast = true;
    check(&int4, 1, &int84, 1, "bigint", NULL);
    check(&int4, 1, numeric, 2, "numeric(12,2)", NULL);
    check(&int4, 1, numeric, 2, "numeric(12,2)[]", NULL);
    check(&int4, 1, &int84, 1, "text",
          "its condition uses operator >(bigint,integer) instead of >(integer,integer)");
    check(&int4, 1, &less, 1, "bigint",
          "its condition uses operator <(bigint,integer) instead of >(integer,integer)");
}

/* sum(int) gives bigint, sum(bigint) numeric: what compares the sum has a new type too, which no column has. */
static void
test_results_of_new_types(void **state)
{
    struct use before[] = {OPERATOR(">(bigint,integer)", "pg_catalog.>", "bigint,integer", "boolean"),
                           FUNCTION("sum(integer)", "pg_catalog.sum", "integer", "bigint")};
    struct use now[] = {OPERATOR(">(numeric,numeric)", "pg_catalog.>", "numeric,numeric", "boolean"),
                        FUNCTION("sum(bigint)", "pg_catalog.sum", "bigint", "numeric")};

    (void)state;
    check(before, 2, now, 2, "bigint", NULL);
    check(before, 1, now, 1, "bigint",
          "its condition uses operator >(numeric,numeric) instead of >(bigint,integer)");
}

static void
check_bare(const char *sql, const char *expected)
{
    struct error err = {0};
    char *text = mem_strdup(sql);

    assert_true(row_operators_bare(&text, &err));
    assert_string_equal(text, expected);
    free(text);
}

static void
test_rows(void **state)
{
    (void)state;
    check_bare("SELECT ROW(a.m, a.id) OPERATOR(public.>) ROW('x'::public.citext, 1)",
               "SELECT ROW(a.m, a.id) > ROW('x'::public.citext, 1)");
    check_bare("SELECT (a.m, a.id) OPERATOR(public.=) ANY (SELECT 1, 2)",
               "SELECT (a.m, a.id) = ANY (SELECT 1, 2)");
    check_bare("SELECT (a.m) OPERATOR(public.=) (b.m)", "SELECT (a.m) OPERATOR(public.=) (b.m)");
    check_bare("SELECT f(a, b) + g((c)) OPERATOR(public.+) d",
               "SELECT f(a, b) + g((c)) OPERATOR(public.+) d");
    check_bare("SELECT 'ROW(a, b) OPERATOR(public.>) ROW(c, d)'",
               "SELECT 'ROW(a, b) OPERATOR(public.>) ROW(c, d)'");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_types), cmocka_unit_test(test_new_types),
                                       cmocka_unit_test(test_results_of_new_types),
                                       cmocka_unit_test(test_rows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
