/* Snapshots and the transactions they see (src/apply/snapshot.c, xids.c). */
#include "support.h"

#include <stdlib.h>

#include "snapshot.h"
#include "xids.h"

static void
test_sees_by_the_rules_of_pg_snapshot(void **state)
{
    struct snapshot *s = snapshot_parse("100:105:100,103");

    (void)state;
    assert_non_null(s);
    assert_true(snapshot_sees(s, 99));
    assert_false(snapshot_sees(s, 100));
    assert_true(snapshot_sees(s, 101));
    assert_false(snapshot_sees(s, 103));
    assert_true(snapshot_sees(s, 104));
    assert_false(snapshot_sees(s, 105));
    assert_true(snapshot_xmax(s) == 105);
    snapshot_free(s);
}

static void
test_takes_full_ids(void **state)
{
    struct snapshot *s = snapshot_parse("12884901988:12884901990:");

    (void)state;
    assert_non_null(s);
    assert_true(snapshot_sees(s, UINT64_C(12884901989)));
    assert_false(snapshot_sees(s, UINT64_C(12884901990)));
    snapshot_free(s);
}

static void
test_refuses_other_texts(void **state)
{
    static const char *const texts[] = {"", "1", "1:2", "a:b:", "1:2:x", "1:2:3;4", ":2:", "-1:2:"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_null(snapshot_parse(texts[i]));
}

static void
test_settled_transactions_are_forgotten(void **state)
{
    struct snapshot *before = snapshot_parse("10:12:10"), *after = snapshot_parse("20:20:");
    struct xid_list list = {0};

    (void)state;
    for (uint64_t xid = 9; xid < 14; xid++)
        xids_add(&list, xid);
    assert_false(xids_settle(&list, before));
    assert_int_equal(list.count, 3);
    assert_true(list.xids[0] == 10 && list.xids[1] == 12 && list.xids[2] == 13);
    assert_true(xids_settle(&list, after));
    assert_int_equal(list.count, 0);
    snapshot_free(before);
    snapshot_free(after);
    free(list.xids);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sees_by_the_rules_of_pg_snapshot),
        cmocka_unit_test(test_takes_full_ids),
        cmocka_unit_test(test_refuses_other_texts),
        cmocka_unit_test(test_settled_transactions_are_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
