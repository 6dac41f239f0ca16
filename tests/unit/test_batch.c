/* The collapse of changes to the last image per key (src/apply/batch.c). Columns: id (key), a, b. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"

static const int key_positions[] = {0};

/* "1|x|y": NULL is ~, an unchanged value is ?. Values are static for the test's life. */
static struct tuple
row(struct value *values, const char *text)
{
    struct tuple t = {.count = 0, .values = values};

    while (*text != '\0') {
        size_t len = strcspn(text, "|");
        struct value *v = &values[t.count++];

        *v = (struct value){.kind = VALUE_TEXT, .data = text, .len = (uint32_t)len};
        if (len == 1 && *text == '~')
            v->kind = VALUE_NULL;
        if (len == 1 && *text == '?')
            v->kind = VALUE_UNCHANGED;
        text += len + (text[len] == '|');
    }
    return t;
}

static bool
change(struct batch *b, enum message_kind kind, const char *old_row, const char *new_row, struct error *err)
{
    struct value old_values[3], new_values[3];
    struct message m = {.kind = kind};

    m.row.has_old = old_row != NULL;
    if (old_row != NULL)
        m.row.old_row = row(old_values, old_row);
    if (new_row != NULL)
        m.row.new_row = row(new_values, new_row);
    return batch_add(b, &m, err);
}

static void
add(struct batch *b, enum message_kind kind, const char *old_row, const char *new_row)
{
    struct error err = {0};

    assert_ok(change(b, kind, old_row, new_row, &err), &err);
}

/* All entries in order: "+1|x|y" a row, "-1" a deleted key; "@2" behind a row whose unchanged values come
 * from key 2. */
static void
assert_batch(struct batch *b, const char *expected)
{
    struct buffer text = {0};

    for (int i = 0; i < b->entry_count; i++) {
        const struct batch_entry *e = &b->entries[i];
        char *key = batch_key_text(e->key, b->key_count, NULL);

        buffer_printf(&text, "%s%c", i > 0 ? " " : "", e->row ? '+' : '-');
        if (!e->row)
            buffer_printf(&text, "%.*s", (int)strlen(key) - 2, key + 1);
        for (int c = 0; e->row && c < b->column_count; c++) {
            const struct value *v = &e->values[c];

            buffer_printf(&text, "%s%.*s", c > 0 ? "|" : "", v->kind == VALUE_TEXT ? (int)v->len : 1,
                          v->kind == VALUE_TEXT   ? v->data
                          : v->kind == VALUE_NULL ? "~"
                                                  : "?");
        }
        if (e->row && e->base != i && e->base != BATCH_NO_BASE) {
            char *base = batch_key_text(b->entries[e->base].key, b->key_count, NULL);

            buffer_printf(&text, "@%.*s", (int)strlen(base) - 2, base + 1);
            free(base);
        }
        free(key);
    }
    buffer_add(&text, "", 0);
    assert_string_equal(text.data, expected);
    buffer_free(&text);
}

static int
setup(void **state)
{
    struct batch *b = malloc(sizeof(*b));

    batch_init(b, 3, 1, key_positions);
    *state = b;
    return 0;
}

static int
teardown(void **state)
{
    batch_free(*state);
    free(*state);
    return 0;
}

static void
test_last_image_wins(void **state)
{
    struct batch *b = *state;

    add(b, MESSAGE_INSERT, NULL, "1|a|b");
    add(b, MESSAGE_UPDATE, NULL, "1|c|~");
    add(b, MESSAGE_UPDATE, NULL, "1|d|e");
    assert_batch(b, "+1|d|e");
    assert_int_equal(b->changes, 3);
}

static void
test_delete_and_insert_again(void **state)
{
    struct batch *b = *state;

    add(b, MESSAGE_DELETE, "1|~|~", NULL);
    add(b, MESSAGE_INSERT, NULL, "1|new|row");
    add(b, MESSAGE_INSERT, NULL, "2|x|y");
    add(b, MESSAGE_DELETE, "2|~|~", NULL);
    assert_batch(b, "+1|new|row -2");
}

static void
test_changed_key_deletes_the_old(void **state)
{
    struct batch *b = *state;

    add(b, MESSAGE_UPDATE, "1|~|~", "2|a|b");
    assert_batch(b, "-1 +2|a|b@1");
    add(b, MESSAGE_UPDATE, "2|~|~", "3|c|?");
    assert_batch(b, "-1 -2 +3|c|b@1");
}

static void
test_keys_that_swap(void **state)
{
    struct batch *b = *state;

    add(b, MESSAGE_UPDATE, "1|~|~", "9|one|?");
    add(b, MESSAGE_UPDATE, "2|~|~", "1|two|?");
    add(b, MESSAGE_UPDATE, "9|~|~", "2|one|?");
    assert_batch(b, "+1|two|?@2 -9 +2|one|?@1");
}

static void
test_unchanged_value_comes_from_the_image_before(void **state)
{
    struct batch *b = *state;

    add(b, MESSAGE_INSERT, NULL, "1|a|big");
    add(b, MESSAGE_UPDATE, NULL, "1|b|?");
    assert_batch(b, "+1|b|big");
    add(b, MESSAGE_UPDATE, NULL, "2|a|?");
    add(b, MESSAGE_UPDATE, NULL, "2|?|small");
    assert_batch(b, "+1|b|big +2|a|small");
}

static void
test_masks_are_shared(void **state)
{
    struct batch *b = *state;

    add(b, MESSAGE_UPDATE, NULL, "1|a|?");
    add(b, MESSAGE_UPDATE, NULL, "2|b|?");
    add(b, MESSAGE_UPDATE, NULL, "3|?|?");
    add(b, MESSAGE_INSERT, NULL, "4|a|b");
    batch_close(b);
    assert_int_equal(b->mask_count, 3);
    assert_int_equal(b->entries[0].mask, b->entries[1].mask);
    assert_int_not_equal(b->entries[0].mask, b->entries[2].mask);
    assert_int_equal(b->entries[3].mask, 0);
    assert_false(batch_mask(b, b->entries[0].mask)[1]);
    assert_true(batch_mask(b, b->entries[0].mask)[2]);
}

static void
test_truncate_forgets_what_came_before(void **state)
{
    struct batch *b = *state;

    add(b, MESSAGE_INSERT, NULL, "1|a|b");
    batch_truncate(b);
    add(b, MESSAGE_INSERT, NULL, "2|c|d");
    assert_true(b->truncated);
    assert_batch(b, "+2|c|d");
    batch_reset(b);
    assert_false(b->truncated);
    assert_int_equal(b->entry_count, 0);
}

static void
test_keys_equal_for_the_server_only_are_two(void **state)
{
    struct batch *b = *state;

    add(b, MESSAGE_UPDATE, "1.0|~|~", "1.00|a|b");
    assert_batch(b, "-1.0 +1.00|a|b@1.0");
}

static void
test_many_keys(void **state)
{
    struct batch *b = *state;
    char *texts = malloc(20000 * 16);

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 20000; i++) {
            snprintf(texts + i * 16, 16, "%d|a|b", i);
            add(b, round == 0 ? MESSAGE_INSERT : MESSAGE_UPDATE, NULL, texts + i * 16);
        }
    }
    assert_int_equal(b->entry_count, 20000);
    for (int i = 0; i < b->entry_count; i++)
        assert_true(b->entries[i].row);
    free(texts);
}

static void
test_refuses_what_does_not_fit(void **state)
{
    struct batch *b = *state;
    struct error err = {0};

    assert_false(change(b, MESSAGE_INSERT, NULL, "1|a", &err));
    assert_error(&err, "a change in the stream does not have the table's 3 columns");
    assert_false(change(b, MESSAGE_INSERT, NULL, "~|a|b", &err));
    assert_error(&err, "a change in the stream has no key: was the replica identity changed?");
    assert_false(change(b, MESSAGE_DELETE, NULL, NULL, &err));
    error_clear(&err);
}

static void
test_rows_may_all_be_read(void **state)
{
    struct batch *b = *state;

    add(b, MESSAGE_UPDATE, NULL, "1|?|?");
    add(b, MESSAGE_UPDATE, NULL, "2|a|b");
    add(b, MESSAGE_DELETE, "3|~|~", NULL);
    batch_close(b);
    assert_int_equal(b->entries[0].mask, 1);
    batch_read_all(b);
    assert_int_equal(b->entries[0].mask, 2);
    assert_int_equal(b->entries[1].mask, 2);
    assert_int_equal(b->entries[2].mask, 0);
    for (int c = 0; c < 3; c++)
        assert_true(batch_mask(b, 2)[c]);
}

/* Not even a value that the stream has, NULL among them, nor one from before; no other column is touched. */
static void
test_columns_left_to_the_source(void **state)
{
    static const bool columns[] = {false, true, false};
    struct batch *b = *state;

    batch_leave_to_source(b, columns);
    add(b, MESSAGE_INSERT, NULL, "1|x|y");
    add(b, MESSAGE_UPDATE, NULL, "1|z|?");
    add(b, MESSAGE_INSERT, NULL, "2|~|y");
    add(b, MESSAGE_DELETE, "3|~|~", NULL);
    batch_close(b);
    assert_batch(b, "+1|?|y +2|?|y -3");
    assert_true(batch_mask(b, b->entries[0].mask)[1] && !batch_mask(b, b->entries[0].mask)[2]);
    assert_int_equal(b->entries[1].mask, b->entries[0].mask);
}

static void
test_no_column_left_to_the_source(void **state)
{
    static const bool columns[] = {false, false, false};
    struct batch *b = *state;

    batch_leave_to_source(b, columns);
    assert_null(b->only_in_source);
}

int
main(void)
{
#define batch_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        batch_test(test_last_image_wins),
        batch_test(test_delete_and_insert_again),
        batch_test(test_changed_key_deletes_the_old),
        batch_test(test_keys_that_swap),
        batch_test(test_unchanged_value_comes_from_the_image_before),
        batch_test(test_masks_are_shared),
        batch_test(test_truncate_forgets_what_came_before),
        batch_test(test_keys_equal_for_the_server_only_are_two),
        batch_test(test_many_keys),
        batch_test(test_rows_may_all_be_read),
        batch_test(test_columns_left_to_the_source),
        batch_test(test_no_column_left_to_the_source),
        batch_test(test_refuses_what_does_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
