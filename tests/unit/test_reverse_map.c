/* Which table of several a --reverse-map is for. */
#include "support.h"

#include <stdlib.h>

#include "rows/reverse_map.h"

/* a.orders (id, n), a.items (id, "order"), b.items (id, N) */
static struct column order_columns[] = {{.name = (char[]){"id"}}, {.name = (char[]){"n"}}};
static struct column item_columns[] = {{.name = (char[]){"id"}}, {.name = (char[]){"order"}}};
static struct column other_columns[] = {{.name = (char[]){"id"}}, {.name = (char[]){"N"}}};
static struct table sources[] = {
    {.schema = (char[]){"a"}, .name = (char[]){"orders"}, .column_count = 2, .columns = order_columns},
    {.schema = (char[]){"a"}, .name = (char[]){"items"}, .column_count = 2, .columns = item_columns},
    {.schema = (char[]){"b"}, .name = (char[]){"items"}, .column_count = 2, .columns = other_columns},
};
static struct plan forwards[] = {{.source = &sources[0]}, {.source = &sources[1]}, {.source = &sources[2]}};
static struct plan_table tables[] = {
    {.forward = &forwards[0]}, {.forward = &forwards[1]}, {.forward = &forwards[2]}};

static void
assert_table(int count, const char *option, int table, const char *expected)
{
    struct plan_set set = {.table_count = count, .tables = tables};
    struct error err = {0};
    char *map = NULL;
    int found = reverse_map_table(&set, option, &map, &err);

    assert_int_equal(found, table);
    if (table >= 0)
        assert_string_equal(map, expected);
    else
        assert_int_equal(err.kind, ERROR_USAGE);
    error_clear(&err);
    free(map);
}

static void
test_tables(void **state)
{
    (void)state;
    assert_table(3, "n=n::integer", 0, "n=n::integer");
    assert_table(3, "\"N\"=1", 2, "\"N\"=1");
    assert_table(3, "\"order\"=a.b = c", 1, "\"order\"=a.b = c");
    assert_table(3, "orders.id=1", 0, "\"id\"=1");
    assert_table(3, "b.items.id = 1", 2, "\"id\"= 1");
    assert_table(3, "items.\"order\"=1", 1, "\"order\"=1");
    assert_table(3, "items.id=1", -1, NULL); /* of two schemas */
    assert_table(3, "id=1", -1, NULL);       /* of all */
    assert_table(3, "nothing=1", -1, NULL);
    assert_table(3, "c.items.id=1", -1, NULL);
    assert_table(3, "id", -1, NULL);
    assert_table(3, "a b=1", -1, NULL);
    assert_table(1, "id=1", 0, "id=1");
    assert_table(1, "nothing=1", 0, "nothing=1"); /* named where the table is */
    assert_table(1, "orders.n=1", 0, "\"n\"=1");
    assert_table(1, "items.id=1", -1, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tables)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
