/* What a batch falls into when rows of it do not fit (src/apply/row_groups.c), and what is said of those
 * rows. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "blocked_rows.h"
#include "row_groups.h"

/* One character an entry: '+' a row, '-' a deleted key; behind a row the entry its old one has, itself: '.'.
 */
static void
assert_groups(const char *entries, const char *expected)
{
    struct batch_entry list[16] = {0};
    struct batch b = {.entries = list};
    struct row_groups u = {0};
    struct buffer text = {0};

    for (const char *at = entries; *at != '\0'; at += at[0] == '+' ? 2 : 1) {
        struct batch_entry *e = &list[b.entry_count];

        e->row = at[0] == '+';
        e->base = e->row && at[1] != '.' ? at[1] - '0' : b.entry_count;
        b.entry_count++;
    }
    row_groups_find(&u, &b);
    buffer_add_text(&text, "");
    for (int group = 0; group < u.count; group++) {
        buffer_add_text(&text, group > 0 ? " " : "");
        for (int i = u.starts[group]; i < u.starts[group + 1]; i++) {
            buffer_printf(&text, "%d", u.entries[i]);
            assert_int_equal(u.group_of[u.entries[i]], group);
        }
    }
    assert_string_equal(text.data, expected);
    buffer_free(&text);
    row_groups_free(&u);
}

static void
test_each_row_is_a_group(void **state)
{
    (void)state;
    assert_groups("", "");
    assert_groups("+.+.+.", "0 1 2");
}

static void
test_deletions_come_first(void **state)
{
    (void)state;
    assert_groups("+.-+.-", "1 3 0 2");
}

static void
test_moved_keys_belong_together(void **state)
{
    (void)state;
    assert_groups("-+0", "01");
    assert_groups("+.-+1+.", "0 12 3");
    assert_groups("--+0+.", "1 02 3");
}

static void
test_rings_and_chains_are_one_group(void **state)
{
    (void)state;
    assert_groups("+1+2+0+.", "012 3");
    assert_groups("+3+.+1-", "03 12");
    assert_groups("+4+0+1+2+3", "01234");
}

/* Back to an original that has integers. */
static struct column made_columns[] = {{.attnum = 1, .name = (char[]){"\"a\""}},
                                       {.attnum = 2, .name = (char[]){"a"}}};
static struct column original_columns[] = {{.type = (char[]){"integer"}}, {.type = (char[]){"integer"}}};
static struct table made = {.column_count = 2, .columns = made_columns};
static struct table original = {.column_count = 2, .columns = original_columns};
static const struct plan back = {.source = &made, .target = &original};

static void
assert_reason(const char *sqlstate, const char *message, const char *expected)
{
    struct error err = {0};
    char *reason;

    error_set(&err, ERROR_FAILED, "%s", message);
    memcpy(err.sqlstate, sqlstate, 6);
    memcpy(err.source, "nbtinsert.c", sizeof("nbtinsert.c"));
    error_detail(&err, "Failing row contains (secret).");
    reason = blocked_rows_reason(&back, &err);
    assert_string_equal(reason, expected);
    free(reason);
    error_clear(&err);
}

static void
test_a_guard_says_the_column(void **state)
{
    (void)state;
    assert_reason("22P02", "invalid input syntax for type boolean: \"pgrecast_guard:0;\"",
                  "a value of column \"a\" does not fit integer");
    assert_reason("22P02", "ungültige Eingabesyntax für Typ boolean: »pgrecast_guard:1;«",
                  "a value of column a does not fit integer");
}

static void
test_what_looks_like_a_guard_is_none(void **state)
{
    static const char *const messages[] = {
        "invalid input syntax for type boolean: \"a value of column a does not fit integer\"",
        "invalid input syntax for type boolean: \"pgrecast_guard:2;\"",
        "invalid input syntax for type boolean: \"pgrecast_guard:-1;\"",
        "invalid input syntax for type boolean: \"pgrecast_guard:99999999999999999999;\"",
        "invalid input syntax for type boolean: \"pgrecast_guard:1\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
        assert_reason("22P02", messages[i], "a value is not valid input for the type (SQLSTATE 22P02)");
    assert_reason("22003", "pgrecast_guard:1;", "a number is out of range (SQLSTATE 22003)");
}

static void
test_a_reason_holds_no_values(void **state)
{
    (void)state;
    assert_reason("22P02", "invalid input syntax for type integer: \"secret\"",
                  "a value is not valid input for the type (SQLSTATE 22P02)");
    assert_reason("22003", "value \"secret\" is out of range for type integer",
                  "a number is out of range (SQLSTATE 22003)");
    assert_reason("22001", "a value of column secret", "a value is too long for the type (SQLSTATE 22001)");
    assert_reason("23505", "duplicate key value violates unique constraint \"t_u\"",
                  "duplicate key value violates unique constraint \"t_u\"");
}

static void
test_ids_are_widened_to_the_nearest(void **state)
{
    (void)state;
    assert_int_equal(xid_widen(UINT64_C(0x500000010), 0x20), UINT64_C(0x500000020));
    assert_int_equal(xid_widen(UINT64_C(0x500000010), 0xfffffff0), UINT64_C(0x4fffffff0));
    assert_int_equal(xid_widen(UINT64_C(0x4fffffff0), 0x10), UINT64_C(0x500000010));
    assert_int_equal(xid_widen(UINT64_C(0x4fffffff0), 0xfffffff0), UINT64_C(0x4fffffff0));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_row_is_a_group),
        cmocka_unit_test(test_deletions_come_first),
        cmocka_unit_test(test_moved_keys_belong_together),
        cmocka_unit_test(test_rings_and_chains_are_one_group),
        cmocka_unit_test(test_a_guard_says_the_column),
        cmocka_unit_test(test_what_looks_like_a_guard_is_none),
        cmocka_unit_test(test_a_reason_holds_no_values),
        cmocka_unit_test(test_ids_are_widened_to_the_nearest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
