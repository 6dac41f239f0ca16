/* Conversions between the server's types for a rollback, and how a key's value is looked for. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "plan_data/plan.h"
#include "rows/key_match.h"
#include "rows/types.h"

static struct column
column(oid_t oid, const char *type)
{
    return (struct column){.attnum = 1,
                           .name = (char *)(uintptr_t) "a",
                           .type_oid = oid,
                           .base_type_oid = oid,
                           .type = (char *)(uintptr_t)type,
                           .base_type = (char *)(uintptr_t)type};
}

#define INT2 column(21, "smallint")
#define INT4 column(23, "integer")
#define INT8 column(20, "bigint")
#define NUMERIC column(1700, "numeric")
#define NUMERIC_10_2 column(1700, "numeric(10,2)")
#define TEXT column(25, "text")
#define VARCHAR column(1043, "character varying")
#define VARCHAR_5 column(1043, "character varying(5)")
#define VARCHAR_9 column(1043, "character varying(9)")
#define JSON column(114, "json")
#define JSONB column(3802, "jsonb")

struct pair {
    struct column from, to;
    bool exact, fits, keys;
};

static void
test_conversions(void **state)
{
    const struct pair pairs[] = {
        {INT4, INT4, true, true, true},
        {INT8, INT4, true, false, true}, /* an error where it does not fit */
        {INT4, INT8, true, true, true},
        {TEXT, VARCHAR_5, false, false, false}, /* spaces at the end are cut off without an error */
        {VARCHAR_9, VARCHAR_5, false, false, false},
        {VARCHAR_5, VARCHAR_9, true, true, true},
        {VARCHAR_5, TEXT, true, true, true},
        {TEXT, VARCHAR, true, true, true},
        {NUMERIC, NUMERIC_10_2, false, false, false},
        {NUMERIC_10_2, NUMERIC, false, false, true},
        {INT4, NUMERIC, false, false, true},
        {INT4, NUMERIC_10_2, false, false, true},
        {INT4, column(1700, "numeric(10,-2)"), false, false, false},
        {NUMERIC, INT4, false, false, false},
        {INT4, TEXT, false, false, false},
        {JSON, JSONB, false, true, false},
        {JSONB, TEXT, false, true, false},
        {JSONB, VARCHAR_5, false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        const struct pair *p = &pairs[i];

        if (types_assign_exactly(&p->from, &p->to) != p->exact ||
            types_always_fit(&p->from, &p->to) != p->fits || types_keep_keys(&p->from, &p->to) != p->keys)
            fail_msg("%s to %s", p->from.type, p->to.type);
    }
}

static void
test_domain_may_check(void **state)
{
    struct column from = INT4, to = INT4;

    (void)state;
    to.type_oid = 99999;
    to.type = (char[]){"public.small"};
    assert_true(types_assign_exactly(&from, &to));
    assert_false(types_always_fit(&from, &to));
    assert_true(types_always_fit(&to, &to));
}

static void
test_collations_differ(void **state)
{
    struct column from = TEXT, to = TEXT;

    (void)state;
    to.base_collation = (char[]){"pg_catalog.\"C\""};
    assert_true(types_keep_keys(&from, &to)); /* both take only the same bytes for equal */
    to.nondeterministic = true;
    assert_false(types_keep_keys(&from, &to));
    from.base_collation = to.base_collation;
    assert_true(types_keep_keys(&from, &to));
}

/* The match in the shadow for a key of these types. */
static void
assert_match(struct column from, struct column to, const char *expected)
{
    struct table source = {.column_count = 1, .columns = &from};
    struct table target = {.column_count = 1, .columns = &to};
    struct plan_key_column key = {.source_name = from.name,
                                  .shadow_name = to.name,
                                  .shadow_equals = (char[]){"OPERATOR(pg_catalog.=)"},
                                  .shadow_value = types_lookup(&from, &to)};
    struct plan plan = {.source = &source, .target = &target, .key_count = 1, .key = &key};
    struct buffer sql = {0};

    key_match_add(&sql, &plan, 0, PLAN_SHADOW, "s", "t.\"k\"");
    assert_string_equal(sql.data, expected);
    buffer_free(&sql);
    free(key.shadow_value);
}

static void
test_lookups(void **state)
{
    (void)state;
    assert_match(INT4, INT4, "s.\"a\" OPERATOR(pg_catalog.=) (t.\"k\"::integer)");
    assert_match(INT8, INT2, "s.\"a\" OPERATOR(pg_catalog.=) (t.\"k\"::bigint)");
    assert_match(TEXT, VARCHAR_5, "s.\"a\" OPERATOR(pg_catalog.=) (t.\"k\"::pg_catalog.text)");
    assert_match(NUMERIC, NUMERIC_10_2, "s.\"a\" OPERATOR(pg_catalog.=) (t.\"k\"::pg_catalog.numeric)");
    assert_match(NUMERIC, INT2,
                 "s.\"a\" OPERATOR(pg_catalog.=) (CASE WHEN t.\"k\"::pg_catalog.numeric BETWEEN -32768 AND "
                 "32767 AND pg_catalog.trunc(t.\"k\"::pg_catalog.numeric) = t.\"k\"::pg_catalog.numeric THEN "
                 "t.\"k\"::pg_catalog.int2 END)");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_domain_may_check),
        cmocka_unit_test(test_collations_differ),
        cmocka_unit_test(test_lookups),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
