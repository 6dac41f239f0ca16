/* The swaps after the first: what is renamed, and what becomes of sequences. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "objects/swap_names.h"
#include "core/list.h"

#define TEXT(text) ((char *)(uintptr_t)(text))

/*
 * Table t: id of a serial that stays, n of an identity, b of a serial that is dropped with its column. The
 * new table has c of a new serial beside the first two.
 */
struct fixture {
    struct owned_sequence sequences[6];
    struct column source_columns[3], target_columns[3];
    struct index source_index, target_index;
    struct extended_statistics statistics;
    struct table source, target;
    struct plan plan;
    struct name_map relations, taken_statistics;
    struct string_list names, statistics_names;
};

static struct owned_sequence
sequence(oid_t oid, const char *name, bool identity)
{
    return (struct owned_sequence){.oid = oid,
                                   .schema = TEXT("s"),
                                   .name = TEXT(name),
                                   .identity = identity,
                                   .type = TEXT("integer"),
                                   .options = TEXT("MINVALUE 1 MAXVALUE 2147483647 CACHE 1 NO CYCLE")};
}

static struct column
column(int attnum, const char *name, struct owned_sequence *q)
{
    return (struct column){.attnum = attnum, .name = TEXT(name), .sequence = q};
}

static void
fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->sequences[0] = sequence(11, "t_id_seq", false);
    f->sequences[1] = sequence(12, "t_n_seq", true);
    f->sequences[2] = sequence(13, "t_b_seq", false);
    f->sequences[3] = f->sequences[0];
    f->sequences[3].type = TEXT("bigint"); /* by ALTER SEQUENCE */
    f->sequences[3].options = TEXT("MINVALUE 1 MAXVALUE 9223372036854775807 CACHE 1 NO CYCLE");
    f->sequences[4] = f->sequences[1];
    f->sequences[5] = sequence(0, "t_c_seq", false);
    f->source_columns[0] = column(1, "id", &f->sequences[0]);
    f->source_columns[1] = column(2, "n", &f->sequences[1]);
    f->source_columns[2] = column(3, "b", &f->sequences[2]);
    f->target_columns[0] = column(1, "ident", &f->sequences[3]);
    f->target_columns[1] = column(2, "n", &f->sequences[4]);
    f->target_columns[2] = column(4, "c", &f->sequences[5]);
    f->source_index.name = f->target_index.name = TEXT("t_pkey");
    f->statistics = (struct extended_statistics){.schema = TEXT("s"), .name = TEXT("st")};
    f->source = (struct table){.schema = TEXT("s"),
                               .name = TEXT("t"),
                               .column_count = 3,
                               .columns = f->source_columns,
                               .index_count = 1,
                               .indexes = &f->source_index,
                               .statistics_count = 1,
                               .statistics = &f->statistics};
    f->target = f->source;
    f->target.columns = f->target_columns;
    f->target.indexes = &f->target_index;
    f->plan = (struct plan){.source = &f->source,
                            .target = &f->target,
                            .names.source_sql = TEXT("\"s\".\"t\""),
                            .names.shadow_name = TEXT("t_pgrecast_new"),
                            .names.old_name = TEXT("t_pgrecast_old")};
    name_map_add(&f->relations, "t_pkey", mem_strdup("t_pkey_pgrecast_new"));
    name_map_add(&f->relations, "t_n_seq", mem_strdup("t_n_seq_pgrecast_new"));
    name_map_add(&f->relations, "t_c_seq", mem_strdup("t_c_seq_pgrecast_new"));
    name_map_add(&f->taken_statistics, "st", mem_strdup("st_pgrecast_new"));
    list_add(&f->names, mem_strdup("t_n_seq_pgrecast_old"));
}

static void
fixture_free(struct fixture *f)
{
    name_map_free(&f->relations);
    name_map_free(&f->taken_statistics);
    list_free(&f->names);
    list_free(&f->statistics_names);
}

static void
assert_statements(const struct string_list *list, const char *const *expected, int count)
{
    for (int i = 0; i < list->count && i < count; i++)
        assert_string_equal(list->items[i], expected[i]);
    assert_int_equal(list->count, count);
}

#define ASSERT_STATEMENTS(list, expected)                                                                    \
    assert_statements(list, expected, (int)(sizeof(expected) / sizeof((expected)[0])))

static void
test_back(void **state)
{
    static const char *const expected[] = {
        "ALTER TABLE \"s\".\"t\" RENAME TO \"t_pgrecast_new\"",
        "ALTER INDEX IF EXISTS \"s\".\"t_pkey\" RENAME TO \"t_pkey_pgrecast_new\"",
        "ALTER STATISTICS \"s\".\"st\" RENAME TO \"st_pgrecast_new\"",
        "ALTER SEQUENCE IF EXISTS \"s\".\"t_n_seq\" RENAME TO \"t_n_seq_pgrecast_new\"",
        "ALTER SEQUENCE IF EXISTS \"s\".\"t_c_seq\" RENAME TO \"t_c_seq_pgrecast_new\"",
        "ALTER TABLE \"s\".\"t_pgrecast_old\" RENAME TO \"t\"",
        "ALTER INDEX \"s\".\"t_pkey_pgrecast_old\" RENAME TO \"t_pkey\"",
        "ALTER STATISTICS \"s\".\"st_pgrecast_old\" RENAME TO \"st\"",
        "ALTER SEQUENCE \"s\".\"t_n_seq_pgrecast_old2\" RENAME TO \"t_n_seq\"",
        "ALTER SEQUENCE \"s\".\"t_b_seq_pgrecast_old\" RENAME TO \"t_b_seq\"",
        "ALTER SEQUENCE \"s\".\"t_id_seq\" OWNED BY \"s\".\"t\".\"id\"",
        "DO $pgrecast$ BEGIN IF (SELECT last_value BETWEEN 1 AND 2147483647 FROM \"s\".\"t_id_seq\") THEN "
        "ALTER SEQUENCE \"s\".\"t_id_seq\" AS integer MINVALUE 1 MAXVALUE 2147483647; END IF; END $pgrecast$",
        "SELECT pg_catalog.setval('\"s\".\"t_n_seq\"', last_value, is_called) FROM "
        "\"s\".\"t_n_seq_pgrecast_new\"",
    };
    struct fixture f;
    struct swap_names x;
    struct string_list out = {0};

    (void)state;
    fixture_init(&f);
    swap_names_plan(&x, &f.plan, &f.relations, &f.taken_statistics, &f.names, &f.statistics_names);
    swap_back(&x, &out);
    ASSERT_STATEMENTS(&out, expected);
    list_free(&out);
    swap_names_free(&x);
    fixture_free(&f);
}

static void
test_again(void **state)
{
    static const char *const expected[] = {
        "ALTER TABLE \"s\".\"t\" RENAME TO \"t_pgrecast_old\"",
        "ALTER INDEX \"s\".\"t_pkey\" RENAME TO \"t_pkey_pgrecast_old\"",
        "ALTER STATISTICS \"s\".\"st\" RENAME TO \"st_pgrecast_old\"",
        "ALTER SEQUENCE \"s\".\"t_n_seq\" RENAME TO \"t_n_seq_pgrecast_old2\"",
        "ALTER SEQUENCE \"s\".\"t_b_seq\" RENAME TO \"t_b_seq_pgrecast_old\"",
        "ALTER TABLE \"s\".\"t_pgrecast_new\" RENAME TO \"t\"",
        "ALTER INDEX IF EXISTS \"s\".\"t_pkey_pgrecast_new\" RENAME TO \"t_pkey\"",
        "ALTER STATISTICS \"s\".\"st_pgrecast_new\" RENAME TO \"st\"",
        "ALTER SEQUENCE IF EXISTS \"s\".\"t_n_seq_pgrecast_new\" RENAME TO \"t_n_seq\"",
        "ALTER SEQUENCE IF EXISTS \"s\".\"t_c_seq_pgrecast_new\" RENAME TO \"t_c_seq\"",
        "ALTER SEQUENCE \"s\".\"t_id_seq\" OWNED BY \"s\".\"t\".\"ident\"",
        "ALTER SEQUENCE \"s\".\"t_id_seq\" AS bigint MINVALUE 1 MAXVALUE 9223372036854775807",
        "SELECT pg_catalog.setval('\"s\".\"t_n_seq\"', a.last_value, a.is_called) FROM "
        "\"s\".\"t_n_seq_pgrecast_old2\" AS a, \"s\".\"t_n_seq\" AS b WHERE a.last_value > b.last_value",
    };
    struct fixture f;
    struct swap_names x;
    struct string_list out = {0};

    (void)state;
    fixture_init(&f);
    swap_names_plan(&x, &f.plan, &f.relations, &f.taken_statistics, &f.names, &f.statistics_names);
    assert_int_equal(x.handed_count, 1);
    assert_true(x.handed[0].followed);
    x.handed[0].followed = false; /* as after a RESTART by the user */
    swap_again(&x, &out);
    ASSERT_STATEMENTS(&out, expected);
    list_free(&out);
    swap_names_free(&x);
    fixture_free(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_back),
        cmocka_unit_test(test_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
