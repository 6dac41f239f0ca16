#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "spool/record.h"

/* What no recording holds: binary values, many columns, extreme numbers, a truncate of many tables. */
static void
test_roundtrip_of_the_unusual(void **state)
{
    struct record_packer *packer = record_packer_new();
    struct record_unpacker *unpacker = record_unpacker_new();
    struct value *values = mem_alloc(UINT16_MAX * sizeof(*values));
    unsigned char oids[4000];
    struct message messages[4] = {{.kind = MESSAGE_UPDATE},
                                  {.kind = MESSAGE_TRUNCATE},
                                  {.kind = MESSAGE_BEGIN},
                                  {.kind = MESSAGE_LOGICAL}};

    (void)state;
    for (size_t i = 0; i < UINT16_MAX; i++)
        values[i] = i % 3 == 0   ? (struct value){VALUE_BINARY, "\0\1\xff", (uint32_t)(i % 4)}
                    : i % 3 == 1 ? (struct value){VALUE_UNCHANGED, NULL, 0}
                                 : (struct value){VALUE_NULL, NULL, 0};
    for (size_t i = 0; i < sizeof(oids); i++)
        oids[i] = (unsigned char)(i * 37);
    messages[0].row.relation = UINT32_MAX;
    messages[0].row.has_old = messages[0].row.old_is_full = true;
    messages[0].row.old_row = (struct tuple){UINT16_MAX, values};
    messages[0].row.new_row = (struct tuple){UINT16_MAX, values};
    messages[1].truncate.relation_count = sizeof(oids) / 4;
    messages[1].truncate.relations = oids;
    messages[2].begin.final_lsn = UINT64_MAX;
    messages[2].begin.commit_time = INT64_MIN;
    messages[2].begin.xid = UINT32_MAX;
    messages[3].logical.prefix = "";
    messages[3].logical.content = "";
    for (size_t i = 0; i < 4; i++) {
        size_t size = record_prepare(packer, &messages[i], UINT64_MAX);
        char *bytes = mem_realloc(NULL, size);
        struct buffer expected = {0}, actual = {0};
        struct message m;
        const char *why;
        lsn_t lsn;

        record_write(packer, bytes);
        assert_int_equal(record_unpack(unpacker, bytes, size, &m, &lsn, &why), RECORD_CHANGE);
        assert_true(lsn == UINT64_MAX);
        message_describe(&messages[i], &expected);
        message_describe(&m, &actual);
        assert_string_equal(actual.data, expected.data);
        buffer_free(&expected);
        buffer_free(&actual);
        free(bytes);
    }
    free(values);
    record_packer_free(packer);
    record_unpacker_free(unpacker);
}

static void
test_delimited_records(void **state)
{
    struct record_packer *packer = record_packer_new();
    struct record_unpacker *unpacker = record_unpacker_new();
    char content[300] = "x";
    struct message m = {.kind = MESSAGE_LOGICAL}, got;
    struct buffer out = {0};
    const char *why;
    size_t size;
    lsn_t lsn;

    (void)state;
    m.logical.prefix = "p";
    m.logical.content = content;
    m.logical.len = sizeof(content);
    record_add_delimited(packer, &m, 7, &out);
    size = ((size_t)(unsigned char)out.data[0] & 0x7f) | (size_t)(unsigned char)out.data[1] << 7;
    assert_int_equal(out.len, size + 2);
    assert_int_equal(record_unpack(unpacker, out.data + 2, size, &got, &lsn, &why), RECORD_CHANGE);
    assert_int_equal(got.logical.len, sizeof(content));
    buffer_free(&out);
    record_packer_free(packer);
    record_unpacker_free(unpacker);
}

/* Valid protobuf that is no valid change, and bytes that are no protobuf. */
static void
test_bad_records(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *why;
    } rows[] = {
#define ROW(bytes, why) {bytes, sizeof(bytes) - 1, why}
        ROW("", "unknown kind of change"),
        ROW("\xff\xff\xff", "no valid protobuf message"),
        ROW("\x9a\x06\0", "unknown kind of change"), /* field 99 */
        ROW("\x32\2\x08\1", "a row is missing"),     /* insert without a row */
        ROW("\x42\2\x08\1", "a row is missing"),     /* delete without a row */
        ROW("\x32\6\x08\1\x12\2\x0a\0", "unknown kind of value"),
        ROW("\x32\x08\x08\1\x12\4\x0a\2\x08\0", "a null that is none"),
        ROW("\x32\x08\x08\1\x12\4\x0a\2\x10\0", "an unchanged value that is none"),
        ROW("\x22\2\x08\1", "unknown replica identity"), /* relation without one */
        ROW("\x22\4\x08\1\x20\x09", "unknown replica identity"),
#undef ROW
    };
    struct record_unpacker *unpacker = record_unpacker_new();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct message m;
        const char *why = NULL;
        lsn_t lsn;

        assert_int_equal(record_unpack(unpacker, rows[i].bytes, rows[i].len, &m, &lsn, &why), RECORD_BAD);
        assert_string_equal(why, rows[i].why);
    }
    record_unpacker_free(unpacker);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roundtrip_of_the_unusual),
        cmocka_unit_test(test_delimited_records),
        cmocka_unit_test(test_bad_records),
    };

    return cmocka_run_group_tests_name("spool/record", tests, NULL, NULL);
}
