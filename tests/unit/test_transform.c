/* How a row of the target comes from a row of the source: statements composed, without a server. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "rows/transform.h"

/* A table t (a, b, c, g), g generated from a. */
static char names[][2] = {"a", "b", "c", "g"};
static int from_a[] = {1};
static struct column columns[4];
static struct table source = {.name = (char[]){"t"}, .column_count = 4, .columns = columns};

static int
setup(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        columns[i] = (struct column){.attnum = i + 1, .name = names[i]};
    columns[3].generated = 's';
    columns[3].generated_from = from_a;
    columns[3].generated_from_count = 1;
    return 0;
}

/* The clone's columns with these types; NULL: dropped. g is generated while its type is "computed". */
static struct stage
stage_of(const char *const types[4])
{
    struct stage stage = {.columns = mem_alloc(4 * sizeof(*stage.columns))};

    for (int i = 0; i < 4; i++) {
        bool computed = i == 3 && types[i] != NULL && strcmp(types[i], "computed") == 0;

        if (types[i] != NULL)
            stage.columns[stage.count++] = (struct stage_column){
                .attnum = i + 1,
                .name = mem_strdup(names[i]),
                .type = mem_strdup(types[i]),
                .bare_type = mem_strdup(types[i]),
                .type_id = mem_strdup(types[i]),
                .cuts = strncmp(types[i], "varchar", 7) == 0,
                .generated = computed ? 's' : '\0',
                .default_expr = computed ? mem_strdup("(a * 2)") : NULL,
            };
    }
    return stage;
}

/* One statement from these types to those; the view is what the server would make of the list. */
static bool
step(struct transform *t, const char *sql, const char *const from[4], const char *const to[4],
     const char *view, struct error *err)
{
    struct stage before = stage_of(from);
    struct stage after = stage_of(to);
    struct statement_list list;
    char *select = NULL;
    bool ok = statements_parse(sql, "scratch", &list, err);

    assert_ok(ok, err);
    ok = transform_prepare(t, &before, &list.items[0], &select, err);
    assert_true(!ok || (select != NULL) == (view != NULL));
    ok = ok && transform_step(t, &before, &after, &list.items[0], view, err);
    free(select);
    statements_free(&list);
    stage_free(&before);
    stage_free(&after);
    return ok;
}

static void
assert_depends(const struct transform *t, int attnum, const char *expected)
{
    char text[5] = "";

    for (int i = 0; i < 4; i++)
        if (transform_value(t, attnum)->depends_on[i])
            strcat(text, names[i]);
    assert_string_equal(text, expected);
}

static const char *const ints[] = {"int", "int", "int", "computed"};

static void
test_a_plain_column_is_itself(void **state)
{
    struct transform t;
    struct error err = {0};

    (void)state;
    transform_start(&t, &source, GENERATED_COMPUTED);
    assert_ok(step(&t, "ALTER TABLE t ALTER a TYPE big, DROP c", ints,
                   (const char *const[]){"big", "int", NULL, "computed"}, NULL, &err),
              &err);
    assert_string_equal(transform_value(&t, 1)->expr, "pgrecast_src.\"a\"");
    assert_string_equal(transform_value(&t, 1)->cast, "big");
    assert_true(transform_value(&t, 1)->plain);
    assert_null(transform_value(&t, 3));
    assert_int_equal(transform_value(&t, 4)->origin, COLUMN_GENERATED);
    assert_depends(&t, 1, "a");
    transform_free(&t);
}

static void
test_each_using_reads_the_row_before_the_statement(void **state)
{
    struct transform t;
    struct error err = {0};

    (void)state;
    transform_start(&t, &source, GENERATED_COMPUTED);
    assert_ok(step(&t, "ALTER TABLE t ALTER a TYPE int USING b, ALTER b TYPE int USING a", ints, ints,
                   "SELECT t.b AS c1, t.a AS c2, t.c AS c3", &err),
              &err);
    assert_depends(&t, 1, "b");
    assert_depends(&t, 2, "a");
    assert_false(transform_value(&t, 1)->plain);
    assert_string_equal(t.from,
                        "SELECT t.b AS c1, t.a AS c2, t.c AS c3 FROM (SELECT pgrecast_src.\"a\" AS \"a\", "
                        "pgrecast_src.\"b\" AS \"b\", pgrecast_src.\"c\" AS \"c\") AS \"t\"");
    transform_free(&t);
}

static void
test_a_later_statement_reads_the_type_it_had(void **state)
{
    static const char *const texts[] = {"text", "int", "int", "computed"};
    static const char *const cut[] = {"varchar(3)", "int", "int", "computed"};
    struct transform t;
    struct error err = {0};

    (void)state;
    transform_start(&t, &source, GENERATED_COMPUTED);
    assert_ok(step(&t, "ALTER TABLE t ALTER a TYPE text", ints, texts, NULL, &err), &err);
    assert_ok(step(&t, "ALTER TABLE t ALTER b TYPE int USING length(a)", texts, texts,
                   "SELECT a AS c1, length(a) AS c2, c AS c3", &err),
              &err);
    assert_non_null(strstr(t.from, "CAST(pgrecast_src.\"a\" AS text) AS \"a\""));
    assert_depends(&t, 2, "a");
    transform_free(&t);

    /* A cast to varchar(3) cuts what ALTER TABLE would refuse. */
    transform_start(&t, &source, GENERATED_COMPUTED);
    assert_ok(step(&t, "ALTER TABLE t ALTER a TYPE varchar(3)", ints, cut, NULL, &err), &err);
    assert_false(step(&t, "ALTER TABLE t ALTER b TYPE int USING length(a)", cut, cut, "SELECT", &err));
    assert_int_equal(err.kind, ERROR_REFUSED);
    error_clear(&err);
    transform_free(&t);
}

static void
test_a_generated_column_is_computed_where_it_is_read(void **state)
{
    struct transform t;
    struct error err = {0};

    (void)state;
    transform_start(&t, &source, GENERATED_COMPUTED);
    assert_ok(step(&t, "ALTER TABLE t ALTER b TYPE int USING g", ints, ints,
                   "SELECT a AS c1, g AS c2, c AS c3, g AS c4", &err),
              &err);
    assert_depends(&t, 2, "a");
    assert_non_null(strstr(t.from, "CAST((a * 2) AS computed) AS c4"));
    assert_null(strstr(t.from, "pgrecast_src.\"g\"")); /* it is not in the change stream */
    transform_free(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_column_is_itself),
        cmocka_unit_test(test_each_using_reads_the_row_before_the_statement),
        cmocka_unit_test(test_a_later_statement_reads_the_type_it_had),
        cmocka_unit_test(test_a_generated_column_is_computed_where_it_is_read),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
