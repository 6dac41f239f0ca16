#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

#define FIRST_USER_OID 16384

/* Oids of a recording as small numbers in the order of their appearance: they differ between servers. */
struct numbering {
    uint32_t oids[32];
    uint32_t count;
};

static uint32_t
number_of(struct numbering *n, uint32_t oid)
{
    uint32_t i = 0;

    while (i < n->count && n->oids[i] != oid)
        i++;
    if (i == n->count) {
        assert_true(n->count < 32);
        n->oids[n->count++] = oid;
    }
    return i + 1;
}

/* Take out of a message what differs between recordings. oids: room for those of a TRUNCATE. */
static void
normalize(struct message *m, struct numbering *n, unsigned char *oids)
{
    switch (m->kind) {
    case MESSAGE_BEGIN:
        memset(&m->begin, 0, sizeof(m->begin));
        break;
    case MESSAGE_COMMIT:
        memset(&m->commit, 0, sizeof(m->commit));
        break;
    case MESSAGE_RELATION:
        m->relation.oid = number_of(n, m->relation.oid);
        for (uint16_t i = 0; i < m->relation.column_count; i++) {
            if (m->relation.columns[i].type_oid >= FIRST_USER_OID)
                m->relation.columns[i].type_oid = number_of(n, m->relation.columns[i].type_oid);
        }
        break;
    case MESSAGE_TYPE:
        m->type.oid = number_of(n, m->type.oid);
        break;
    case MESSAGE_TRUNCATE:
        memset(oids, 0, (size_t)m->truncate.relation_count * 4);
        for (uint32_t i = 0; i < m->truncate.relation_count; i++)
            oids[i * 4 + 3] = (unsigned char)number_of(n, message_truncate_relation(m, i));
        m->truncate.relations = oids;
        break;
    case MESSAGE_LOGICAL:
        m->logical.lsn = 0;
        break;
    default:
        m->row.relation = number_of(n, m->row.relation);
        break;
    }
}

/* All of a recording as text, without the empty transactions that only 14 sends. */
static char *
describe_golden(const struct golden *g)
{
    struct decoder *d = decoder_new();
    struct numbering numbering = {0};
    struct buffer text = {0};
    unsigned char oids[64];
    struct error err = {0};

    for (size_t i = 0; i < g->count; i++) {
        const struct golden_message *bytes = &g->messages[i];
        struct message m;

        if (bytes->data[0] == 'B' && g->messages[i + 1].data[0] == 'C') {
            i++;
            continue;
        }
        assert_ok(decoder_decode(d, bytes->data, bytes->len, &m, &err), &err);
        normalize(&m, &numbering, oids);
        message_describe(&m, &text);
    }
    decoder_free(d);
    return buffer_take(&text);
}

static void
test_golden(void **state)
{
    struct golden g = golden_load(*(const int *)*state);
    char *expected = golden_text("changes.expected");
    char *actual = describe_golden(&g);

    assert_string_equal(actual, expected);
    free(actual);
    free(expected);
    golden_free(&g);
}

/* What the text leaves out: positions, times and transaction ids. */
static void
test_golden_positions(void **state)
{
    struct golden g = golden_load(*(const int *)*state);
    struct decoder *d = decoder_new();
    struct error err = {0};
    lsn_t final_lsn = 0, end_lsn = 0;
    int64_t time = 0;

    for (size_t i = 0; i < g.count; i++) {
        struct message m;

        assert_ok(decoder_decode(d, g.messages[i].data, g.messages[i].len, &m, &err), &err);
        if (m.kind == MESSAGE_BEGIN) {
            assert_true(m.begin.final_lsn >= end_lsn);
            assert_true(m.begin.xid > 700);
            assert_true(m.begin.commit_time > INT64_C(820000000000000)); /* late in 2025 */
            final_lsn = m.begin.final_lsn;
            time = m.begin.commit_time;
        } else if (m.kind == MESSAGE_COMMIT) {
            assert_true(m.commit.commit_lsn == final_lsn);
            assert_true(m.commit.end_lsn > final_lsn);
            assert_true(m.commit.commit_time == time);
            end_lsn = m.commit.end_lsn;
        } else if (m.kind == MESSAGE_LOGICAL) {
            assert_true(m.logical.lsn > end_lsn);
        }
    }
    decoder_free(d);
    golden_free(&g);
}

/* Bytes in a block of their own, so that valgrind and the sanitizers see a read beyond the last. */
static bool
decode_copy(struct decoder *d, const unsigned char *data, size_t len, struct message *m, struct error *err)
{
    unsigned char *copy = mem_realloc(NULL, len);
    struct buffer text = {0};
    bool ok;

    memcpy(copy, data, len);
    ok = decoder_decode(d, copy, len, m, err);
    if (ok)
        message_describe(m, &text); /* touches all that the message points to */
    buffer_free(&text);
    free(copy);
    return ok;
}

static void
test_golden_cut_short(void **state)
{
    struct golden g = golden_load(*(const int *)*state);
    struct decoder *d = decoder_new();

    for (size_t i = 0; i < g.count; i++) {
        for (size_t len = 0; len < g.messages[i].len; len++) {
            struct error err = {0};
            struct message m;

            if (decode_copy(d, g.messages[i].data, len, &m, &err))
                fail_msg("message %zu was taken with %zu of its %zu bytes", i, len, g.messages[i].len);
            assert_error_begins(&err, "pgoutput sent a");
        }
    }
    decoder_free(d);
    golden_free(&g);
}

static void
test_golden_with_a_byte_more(void **state)
{
    struct golden g = golden_load(*(const int *)*state);
    struct decoder *d = decoder_new();

    for (size_t i = 0; i < g.count; i++) {
        size_t len = g.messages[i].len;
        unsigned char *longer = mem_realloc(NULL, len + 1);
        struct error err = {0};
        struct message m;

        memcpy(longer, g.messages[i].data, len);
        longer[len] = 0;
        assert_false(decode_copy(d, longer, len + 1, &m, &err));
        assert_error_ends(&err, " message: bytes left at its end (offset %zu of %zu)", len, len + 1);
        free(longer);
    }
    decoder_free(d);
    golden_free(&g);
}

/* Each byte of each message, each of its bits. The outcome is open; it must be one of the two. */
static void
test_golden_bit_flips(void **state)
{
    struct golden g = golden_load(*(const int *)*state);
    struct decoder *d = decoder_new();

    for (size_t i = 0; i < g.count; i++) {
        unsigned char *data = g.messages[i].data;

        for (size_t bit = 0; bit < g.messages[i].len * 8; bit++) {
            struct error err = {0};
            struct message m;

            if (bit >= 4096 && bit % 97 != 0)
                continue; /* the inside of a long value */
            data[bit / 8] ^= (unsigned char)(1 << bit % 8);
            if (!decode_copy(d, data, g.messages[i].len, &m, &err))
                assert_error_begins(&err, "pgoutput sent a");
            data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
    }
    decoder_free(d);
    golden_free(&g);
}

static const struct {
    const char *bytes;
    size_t len;
    const char *error;
} malformed[] = {
#define ROW(bytes, error)                                                                                    \
    {                                                                                                        \
        bytes, sizeof(bytes) - 1, error                                                                      \
    }
    {"", 0, "an empty message"},
    ROW("S\0\0\0\1", "a message of unknown kind 0x53"),
    ROW("E", "a message of unknown kind 0x45"),
    ROW("C\1"
        "\0\0\0\0\0\0\0\1"
        "\0\0\0\0\0\0\0\2"
        "\0\0\0\0\0\0\0\3",
        "a malformed COMMIT message: unknown flags (offset 2 of 26)"),
    ROW("R\0\0\0\1s\0t\0x\0\0", "a malformed RELATION message: unknown replica identity (offset 12 of 12)"),
    ROW("R\0\0\0\1s\0t\0\0\0\0", "a malformed RELATION message: unknown replica identity (offset 12 of 12)"),
    ROW("R\0\0\0\1s\0t\0d\0\1"
        "\2c\0\0\0\0\x17\xff\xff\xff\xff",
        "a malformed RELATION message: unknown flags of a column (offset 13 of 23)"),
    ROW("R\0\0\0\1s\0t\0d\xff\xff"
        "\1c\0",
        "a malformed RELATION message: more columns than bytes (offset 12 of 15)"),
    ROW("I\0\0\0\1O\0\0", "a malformed INSERT message: no new row where one must be (offset 6 of 8)"),
    ROW("I\0\0\0\1N\xff\xffnnn", "a malformed INSERT message: more columns than bytes (offset 8 of 11)"),
    ROW("I\0\0\0\1N\0\1x", "a malformed INSERT message: unknown kind of value (offset 9 of 9)"),
    ROW("I\0\0\0\1N\0\1t\xff\xff\xff\xff"
        "a",
        "a malformed INSERT message: it ends too early (offset 13 of 14)"),
    ROW("I\0\0\0\1N\0\1nn", "a malformed INSERT message: bytes left at its end (offset 9 of 10)"),
    ROW("U\0\0\0\1K\0\1n", "a malformed UPDATE message: it ends too early (offset 9 of 9)"),
    ROW("U\0\0\0\1K\0\1nK\0\1n",
        "a malformed UPDATE message: no new row where one must be (offset 10 of 13)"),
    ROW("U\0\0\0\1X\0\1n", "a malformed UPDATE message: no new row where one must be (offset 6 of 9)"),
    ROW("D\0\0\0\1N\0\1n", "a malformed DELETE message: no old row where one must be (offset 6 of 9)"),
    ROW("T\0\0\0\1\4\0\0\0\1", "a malformed TRUNCATE message: unknown flags (offset 6 of 10)"),
    ROW("T\xff\xff\xff\xff\0\0\0\0\1", "a malformed TRUNCATE message: it ends too early (offset 6 of 10)"),
    ROW("M\2"
        "\0\0\0\0\0\0\0\1"
        "p\0\0\0\0\0",
        "a malformed MESSAGE message: unknown flags (offset 2 of 16)"),
    ROW("M\1"
        "\0\0\0\0\0\0\0\1"
        "prefix",
        "a malformed MESSAGE message: it ends too early (offset 10 of 16)"),
    ROW("A\0\0\0\1\0\0\0\2"
        "more",
        "a malformed STREAM ABORT message: it ends too early (offset 9 of 13)"),
#undef ROW
};

static void
test_malformed(void **state)
{
    struct decoder *d = decoder_new();

    (void)state;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        struct error err = {0};
        struct message m;

        if (decode_copy(d, (const unsigned char *)malformed[i].bytes, malformed[i].len, &m, &err))
            fail_msg("taken, without the error \"%s\"", malformed[i].error);
        assert_error(&err, "pgoutput sent %s", malformed[i].error);
    }
    decoder_free(d);
}

static void
test_stray_stream_abort(void **state)
{
    static const char two_xids[] = "A\0\0\0\1\0\0\0\2";
    static const char with_lsn_and_time[] = "A\0\0\0\1\0\0\0\2"
                                            "\0\0\0\0\0\0\0\3"
                                            "\0\0\0\0\0\0\0\4";
    struct decoder *d = decoder_new();
    struct error err = {0};
    struct message m;

    (void)state;
    assert_ok(decoder_decode(d, two_xids, sizeof(two_xids) - 1, &m, &err), &err);
    assert_int_equal(m.kind, MESSAGE_IGNORED);
    assert_ok(decoder_decode(d, with_lsn_and_time, sizeof(with_lsn_and_time) - 1, &m, &err), &err);
    assert_int_equal(m.kind, MESSAGE_IGNORED);
    decoder_free(d);
}

static void
test_origin(void **state)
{
    static const char bytes[] = "O\0\0\0\0\0\0\1\2upstream";
    struct decoder *d = decoder_new();
    struct error err = {0};
    struct message m;

    (void)state;
    assert_ok(decoder_decode(d, bytes, sizeof(bytes), &m, &err), &err);
    assert_int_equal(m.kind, MESSAGE_ORIGIN);
    assert_true(m.origin.lsn == 0x102);
    assert_string_equal(m.origin.name, "upstream");
    decoder_free(d);
}

static void
test_binary_values(void **state)
{
    static const char bytes[] = "I\0\0\0\1N\0\2b\0\0\0\2\0\xff"
                                "b\0\0\0\0";
    struct decoder *d = decoder_new();
    struct error err = {0};
    struct message m;

    (void)state;
    assert_ok(decoder_decode(d, bytes, sizeof(bytes) - 1, &m, &err), &err);
    assert_int_equal(m.row.new_row.count, 2);
    assert_int_equal(m.row.new_row.values[0].kind, VALUE_BINARY);
    assert_int_equal(m.row.new_row.values[0].len, 2);
    assert_memory_equal(m.row.new_row.values[0].data, "\0\xff", 2);
    assert_int_equal(m.row.new_row.values[1].len, 0);
    decoder_free(d);
}

static void
assert_value(const struct tuple *row, uint16_t i, enum value_kind kind, const char *text)
{
    assert_int_equal(row->values[i].kind, kind);
    assert_int_equal(row->values[i].len, strlen(text));
    assert_memory_equal(row->values[i].data, text, strlen(text));
}

/* A key stored out of line is whole in the old key, and "unchanged" in the new row, which takes it from there. */
static void
test_unchanged_key(void **state)
{
    static const char bytes[] = "U\0\0\0\1K\0\4t\0\0\0\1kt\0\0\0\1xnn"
                                "N\0\4ut\0\0\0\1yut\0\0\0\1z";
    struct decoder *d = decoder_new();
    struct error err = {0};
    struct message m;

    (void)state;
    assert_ok(decoder_decode(d, bytes, sizeof(bytes) - 1, &m, &err), &err);
    assert_value(&m.row.old_row, 0, VALUE_TEXT, "k");
    assert_value(&m.row.new_row, 0, VALUE_TEXT, "k");
    assert_value(&m.row.new_row, 1, VALUE_TEXT, "y");
    assert_int_equal(m.row.new_row.values[2].kind,
                     VALUE_UNCHANGED); /* outside of the key: the null says nothing */
    assert_value(&m.row.new_row, 3, VALUE_TEXT, "z");
    decoder_free(d);
}

/* With the whole row before, every value is known, in binary too. */
static void
test_unchanged_in_a_full_row(void **state)
{
    static const char bytes[] = "U\0\0\0\1O\0\2b\0\0\0\1kt\0\0\0\3big"
                                "N\0\2uu";
    struct decoder *d = decoder_new();
    struct error err = {0};
    struct message m;

    (void)state;
    assert_ok(decoder_decode(d, bytes, sizeof(bytes) - 1, &m, &err), &err);
    assert_value(&m.row.new_row, 0, VALUE_BINARY, "k");
    assert_value(&m.row.new_row, 1, VALUE_TEXT, "big");
    decoder_free(d);
}

/* Rows of different width: nothing beyond the shorter one is read. */
static void
test_unchanged_in_a_longer_row(void **state)
{
    static const char bytes[] = "U\0\0\0\1K\0\1t\0\0\0\1kN\0\2uu";
    struct decoder *d = decoder_new();
    struct error err = {0};
    struct message m;

    (void)state;
    assert_ok(decoder_decode(d, bytes, sizeof(bytes) - 1, &m, &err), &err);
    assert_value(&m.row.new_row, 0, VALUE_TEXT, "k");
    assert_int_equal(m.row.new_row.values[1].kind, VALUE_UNCHANGED);
    decoder_free(d);
}

/* One row per major. */
static const struct {
    int major;
    const char *options;
    const char *any_origin;
} option_rows[] = {
    {14, "proto_version '1', publication_names '\"p\"', messages 'true'",
     "proto_version '1', publication_names '\"p\"', messages 'true'"},
    {15, "proto_version '1', publication_names '\"p\"', messages 'true'",
     "proto_version '1', publication_names '\"p\"', messages 'true'"},
    {16, "proto_version '1', publication_names '\"p\"', messages 'true', origin 'none'",
     "proto_version '1', publication_names '\"p\"', messages 'true', origin 'any'"},
    {17, "proto_version '1', publication_names '\"p\"', messages 'true', origin 'none'",
     "proto_version '1', publication_names '\"p\"', messages 'true', origin 'any'"},
    {18, "proto_version '1', publication_names '\"p\"', messages 'true', origin 'none'",
     "proto_version '1', publication_names '\"p\"', messages 'true', origin 'any'"},
    {19, "proto_version '1', publication_names '\"p\"', messages 'true', origin 'none'",
     "proto_version '1', publication_names '\"p\"', messages 'true', origin 'any'"},
};

static void
test_options_by_major(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(option_rows) / sizeof(option_rows[0]); i++) {
        char *options = pgoutput_options(option_rows[i].major, "p", false);

        assert_string_equal(options, option_rows[i].options);
        free(options);
        options = pgoutput_options(option_rows[i].major, "p", true);
        assert_string_equal(options, option_rows[i].any_origin);
        free(options);
    }
}

/* An identifier within a string of the replication grammar, which knows no backslashes. */
static void
test_options_quote_twice(void **state)
{
    char *options = pgoutput_options(15, "it's \"a\\b\", c", false);

    (void)state;
    assert_string_equal(options,
                        "proto_version '1', publication_names '\"it''s \"\"a\\b\"\", c\"', messages 'true'");
    free(options);
}

/* A test on each recording, named after its major. */
#define GOLDEN_TESTS(function)                                                                               \
    {#function "_14", function, NULL, NULL, (void *)&golden_majors[0]},                                      \
        {#function "_15", function, NULL, NULL, (void *)&golden_majors[1]},                                  \
        {#function "_16", function, NULL, NULL, (void *)&golden_majors[2]},                                  \
        {#function "_17", function, NULL, NULL, (void *)&golden_majors[3]},                                  \
    {                                                                                                        \
#function "_18", function, NULL, NULL, (void *)&golden_majors[4]                                     \
    }

int
main(void)
{
    const struct CMUnitTest tests[] = {
        GOLDEN_TESTS(test_golden),
        GOLDEN_TESTS(test_golden_positions),
        GOLDEN_TESTS(test_golden_cut_short),
        GOLDEN_TESTS(test_golden_with_a_byte_more),
        GOLDEN_TESTS(test_golden_bit_flips),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_stray_stream_abort),
        cmocka_unit_test(test_origin),
        cmocka_unit_test(test_binary_values),
        cmocka_unit_test(test_unchanged_key),
        cmocka_unit_test(test_unchanged_in_a_full_row),
        cmocka_unit_test(test_unchanged_in_a_longer_row),
        cmocka_unit_test(test_options_by_major),
        cmocka_unit_test(test_options_quote_twice),
    };

    return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
