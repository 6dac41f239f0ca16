/* What a batch falls into when rows of it do not fit (src/apply/units.c), and what is said of those rows. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "aside.h"
#include "units.h"

/* One character an entry: '+' a row, '-' a deleted key; behind a row the entry its old one has, itself: '.'.
 */
static void
assert_units(const char *entries, const char *expected)
{
    struct batch_entry list[16] = {0};
    struct batch b = {.entries = list};
    struct units u = {0};
    struct buffer text = {0};

    for (const char *at = entries; *at != '\0'; at += at[0] == '+' ? 2 : 1) {
        struct batch_entry *e = &list[b.entry_count];

        e->row = at[0] == '+';
        e->base = e->row && at[1] != '.' ? at[1] - '0' : b.entry_count;
        b.entry_count++;
    }
    units_find(&u, &b);
    buffer_add_text(&text, "");
    for (int unit = 0; unit < u.count; unit++) {
        buffer_add_text(&text, unit > 0 ? " " : "");
        for (int i = u.starts[unit]; i < u.starts[unit + 1]; i++) {
            buffer_printf(&text, "%d", u.entries[i]);
            assert_int_equal(u.unit_of[u.entries[i]], unit);
        }
    }
    assert_string_equal(text.data, expected);
    buffer_free(&text);
    units_free(&u);
}

static void
test_each_row_is_a_unit(void **state)
{
    (void)state;
    assert_units("", "");
    assert_units("+.+.+.", "0 1 2");
}

static void
test_deletions_come_first(void **state)
{
    (void)state;
    assert_units("+.-+.-", "1 3 0 2");
}

static void
test_moved_keys_belong_together(void **state)
{
    (void)state;
    assert_units("-+0", "01");
    assert_units("+.-+1+.", "0 12 3");
    assert_units("--+0+.", "1 02 3");
}

static void
test_rings_and_chains_are_one_unit(void **state)
{
    (void)state;
    assert_units("+1+2+0+.", "012 3");
    assert_units("+3+.+1-", "03 12");
    assert_units("+4+0+1+2+3", "01234");
}

static void
assert_reason(const char *sqlstate, const char *message, const char *expected)
{
    struct error err = {0};
    char *reason;

    error_set(&err, ERROR_FAILED, "%s", message);
    memcpy(err.sqlstate, sqlstate, 6);
    error_detail(&err, "Failing row contains (secret).");
    reason = aside_reason(&err);
    assert_string_equal(reason, expected);
    free(reason);
    error_clear(&err);
}

static void
test_a_guard_says_the_column(void **state)
{
    (void)state;
    assert_reason("22P02",
                  "invalid input syntax for type boolean: \"a value of column \"a\" does not fit integer\"",
                  "a value of column \"a\" does not fit integer");
    assert_reason("22P02",
                  "ungültige Eingabesyntax für Typ boolean: »a value of column a does not fit integer«",
                  "a value of column a does not fit integer");
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
        cmocka_unit_test(test_each_row_is_a_unit),
        cmocka_unit_test(test_deletions_come_first),
        cmocka_unit_test(test_moved_keys_belong_together),
        cmocka_unit_test(test_rings_and_chains_are_one_unit),
        cmocka_unit_test(test_a_guard_says_the_column),
        cmocka_unit_test(test_a_reason_holds_no_values),
        cmocka_unit_test(test_ids_are_widened_to_the_nearest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
