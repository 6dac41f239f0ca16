#include "spool_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"

/* Everything a server has sent comes back, field for field. */
static void
roundtrip_golden(const char *directory, int major)
{
    struct golden g = golden_load(major);
    struct spool *s = fixture_open(directory, LARGE_SEGMENTS);
    struct decoder *d = decoder_new();
    struct buffer expected = {0};
    struct error err = {0};
    char lsn[LSN_TEXT_SIZE];
    char *text;

    for (size_t i = 0; i < g.count; i++) {
        struct message m;

        assert_ok(decoder_decode(d, g.messages[i].data, g.messages[i].len, &m, &err), &err);
        assert_ok(spool_append(s, &m, g.messages[i].lsn, &err), &err);
        buffer_printf(&expected, "%s ", lsn_format(g.messages[i].lsn, lsn));
        message_describe(&m, &expected);
    }
    text = read_spool(s, 0);
    assert_string_equal(text, expected.data);
    free(text);
    spool_close(s);
    text = read_directory(directory);
    assert_string_equal(text, expected.data);
    free(text);
    assert_ok(spool_remove(directory, &err), &err);
    buffer_free(&expected);
    decoder_free(d);
    golden_free(&g);
}

static void
test_roundtrip_of_goldens(void **state)
{
    for (size_t i = 0; i < GOLDEN_MAJOR_COUNT; i++)
        roundtrip_golden(*state, golden_majors[i]);
}

static void
test_new_spool_is_empty_and_private(void **state)
{
    char *directory = mem_printf("%s/a/b", (char *)*state);
    char *parent = mem_printf("%s/a", (char *)*state);
    struct spool *s = fixture_open(directory, LARGE_SEGMENTS);
    char *path = segment_path(directory, 1);
    struct error err = {0};
    struct stat status;

    assert_true(spool_end_lsn(s) == 0);
    assert_int_equal(spool_changes(s), 0);
    assert_int_equal(spool_bytes(s), SEGMENT_HEADER);
    assert_transactions(read_spool(s, 0), "");
    assert_int_equal(stat(directory, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    spool_close(s);
    assert_ok(spool_remove(directory, &err), &err);
    rmdir(parent);
    free(path);
    free(parent);
    free(directory);
}

static void
test_readers_see_what_was_flushed(void **state)
{
    struct spool *s = fixture_open(*state, LARGE_SEGMENTS);
    struct error err = {0};
    struct spool_reader *r = open_reader(s, 0);
    struct spool_record record;

    append_transaction(s, 1, 0);
    assert_int_equal(spool_read(r, &record, &err), SPOOL_EMPTY);
    assert_false(spool_wait(s, r, 1));
    flush_spool(s);
    assert_true(spool_wait(s, r, 0));
    assert_int_equal(spool_read(r, &record, &err), SPOOL_RECORD);
    assert_int_equal(record.message.kind, MESSAGE_BEGIN);
    assert_int_equal(spool_read(r, &record, &err), SPOOL_RECORD);
    assert_int_equal(record.message.kind, MESSAGE_COMMIT);
    assert_int_equal(spool_read(r, &record, &err), SPOOL_EMPTY);
    assert_false(spool_wait(s, r, 1));
    spool_reader_close(r);
    spool_close(s);
}

static void
test_reopened_spool_goes_on(void **state)
{
    struct spool *s = fixture_open(*state, 2000);

    append_transactions(s, 1, 20, 3);
    assert_int_equal(spool_changes(s), 60);
    spool_close(s);
    s = fixture_open(*state, 2000);
    assert_true(spool_end_lsn(s) == end_of(20));
    assert_int_equal(spool_changes(s), 0);
    append_transactions(s, 21, 22, 3);
    assert_transactions(read_spool(s, end_of(18)), "19 20 21 22");
    spool_close(s);
    assert_transactions(read_directory(*state), "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22");
}

/* Every place to start from, in many small segments, with a transaction over several of them in the midst. */
static void
test_open_after_each_transaction(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);

    append_transactions(s, 1, 9, 2);
    append_transaction(s, 10, 200);
    for (unsigned n = 11; n <= 20; n++)
        append_transaction(s, n, 2);
    assert_true(file_count(*state) > 10);
    assert_transactions(read_spool(s, 0), "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20");
    for (unsigned n = 1; n <= 20; n++) {
        char *expected = numbers_from(n, 20);

        if (n > 1)
            assert_transactions(read_spool(s, end_of(n - 1)), expected);
        assert_transactions(read_spool(s, commit_of(n) - 1), expected);
        assert_transactions(read_spool(s, commit_of(n)), expected);
        assert_transactions(read_spool(s, end_of(n) - 1), expected);
        free(expected);
    }
    assert_transactions(read_spool(s, end_of(20)), "");
    assert_transactions(read_spool(s, end_of(99)), "");
    spool_close(s);
}

static void
test_open_within_an_unfinished_transaction(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);

    append_transactions(s, 1, 2, 1);
    append_unfinished(s, 3);
    assert_true(file_count(*state) > 3);
    assert_transactions(read_spool(s, end_of(2)), "3 not-ended");
    assert_transactions(read_spool(s, end_of(3)), ""); /* it may end there */
    append_commit(s, 3);
    assert_transactions(read_spool(s, end_of(2)), "3");
    assert_transactions(read_spool(s, end_of(3)), "");
    spool_close(s);
}

static void
test_each_segment_explains_its_rows(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    size_t segments;

    append_transactions(s, 1, 30, 3);
    spool_close(s);
    segments = file_count(*state);
    assert_true(segments > 5);
    for (uint64_t number = 1; number < segments; number++) {
        char *path = segment_path(*state, number);
        char *text;
        const char *type, *relation, *row;

        assert_int_equal(unlink(path), 0);
        text = read_directory(*state);
        type = strstr(text, "TYPE 16390");
        relation = strstr(text, "RELATION 16400");
        row = strstr(text, "INSERT 16400");
        assert_non_null(row);
        assert_true(type != NULL && relation != NULL && type < relation && relation < row);
        free(text);
        free(path);
    }
}

static void
test_seek_gives_definitions_again(void **state)
{
    struct spool *s = fixture_open(*state, LARGE_SEGMENTS);
    struct spool_position second = {0};
    struct spool_record record;
    struct spool_reader *r;
    struct error err = {0};

    append_transactions(s, 1, 2, 1);
    flush_spool(s);
    r = open_reader(s, 0);
    while (spool_read(r, &record, &err) == SPOOL_RECORD) {
        if (record.message.kind == MESSAGE_COMMIT && second.segment == 0)
            second = record.next;
    }
    assert_int_equal(err.kind, ERROR_NONE);
    for (int round = 0; round < 3; round++) {
        static const enum message_kind kinds[] = {MESSAGE_TYPE, MESSAGE_RELATION, MESSAGE_BEGIN,
                                                  MESSAGE_INSERT, MESSAGE_COMMIT};

        assert_ok(spool_seek(r, second, &err), &err);
        assert_true(spool_wait(s, r, 0));
        for (size_t i = 0; i < 5; i++) {
            assert_int_equal(spool_read(r, &record, &err), SPOOL_RECORD);
            assert_int_equal(record.message.kind, kinds[i]);
            if (i <= 2)
                assert_memory_equal(&record.position, &second, sizeof(second));
            if (i < 2)
                assert_memory_equal(&record.next, &second, sizeof(second));
        }
        assert_int_equal(spool_read(r, &record, &err), SPOOL_EMPTY);
    }
    spool_reader_close(r);
    spool_close(s);
}

/* A definition that changed later must not come back for the rows before it. */
static void
test_seek_gives_the_definition_of_the_place(void **state)
{
    struct relation_column columns[2] = {{true, "id", 23, -1}, {false, "renamed", 25, -1}};
    struct spool *s = fixture_open(*state, LARGE_SEGMENTS);
    struct message m = {.kind = MESSAGE_RELATION};
    struct spool_position places[4];
    struct spool_record record;
    struct spool_reader *r;
    struct error err = {0};
    size_t count = 0;

    append_transactions(s, 1, 2, 1);
    m.relation.oid = TABLE_OID;
    m.relation.schema = "public";
    m.relation.name = "t";
    m.relation.replica_identity = 'd';
    m.relation.column_count = 2;
    m.relation.columns = columns;
    append_begin(s, 3);
    assert_ok(spool_append(s, &m, 3000, &err), &err);
    append_commit(s, 3);
    append_transaction(s, 4, 1);
    flush_spool(s);
    r = open_reader(s, 0);
    while (spool_read(r, &record, &err) == SPOOL_RECORD) {
        if (record.message.kind == MESSAGE_BEGIN)
            places[count++] = record.position;
    }
    assert_int_equal(count, 4);
    for (size_t i = 4; i-- > 1;) {
        assert_ok(spool_seek(r, places[i], &err), &err);
        read_until(r, &record, MESSAGE_RELATION);
        assert_string_equal(record.message.relation.columns[1].name, i == 3 ? "renamed" : "body");
    }
    spool_reader_close(r);
    spool_close(s);
}

static void
test_seek_between_segments(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    struct spool_position places[64];
    struct spool_record record;
    struct spool_reader *r;
    struct error err = {0};
    size_t count = 0;

    append_transactions(s, 1, 30, 2);
    flush_spool(s);
    r = open_reader(s, 0);
    while (spool_read(r, &record, &err) == SPOOL_RECORD) {
        if (record.message.kind == MESSAGE_BEGIN)
            places[count++] = record.position;
    }
    assert_int_equal(count, 30);
    for (size_t i = 0; i < 30; i++) {
        size_t n = i * 7 % 30; /* back and forth */

        assert_ok(spool_seek(r, places[n], &err), &err);
        assert_int_equal(spool_reader_position(r).segment, places[n].segment);
        assert_int_equal(spool_reader_position(r).offset, places[n].offset);
        read_until(r, &record, MESSAGE_BEGIN);
        assert_int_equal(record.message.begin.xid, n + 1);
    }
    spool_reader_close(r);
    spool_close(s);
}

static void
test_trim_removes_what_was_read(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    struct spool_record record;
    struct spool_reader *r;
    struct error err = {0};
    uint64_t bytes;

    append_transactions(s, 1, 30, 2);
    flush_spool(s);
    bytes = spool_bytes(s);
    r = open_reader(s, 0);
    do
        assert_int_equal(spool_read(r, &record, &err), SPOOL_RECORD);
    while (record.message.kind != MESSAGE_COMMIT || record.message.commit.end_lsn != end_of(20));
    trim_spool(s, record.next);
    assert_true(spool_bytes(s) < bytes / 2);
    assert_transactions(read_to_end(r), "21 22 23 24 25 26 27 28 29 30");
    assert_transactions(read_spool(s, end_of(20)), "21 22 23 24 25 26 27 28 29 30");

    assert_null(spool_reader_open(s, end_of(3), &err));
    assert_error(&err, "the spool in \"%s\" does not go back to 0/F6E any more", (char *)*state);
    spool_close(s);
    s = fixture_open(*state, SMALL_SEGMENTS);
    assert_transactions(read_spool(s, end_of(25)), "26 27 28 29 30");
    append_transactions(s, 31, 31, 2);
    assert_transactions(read_spool(s, end_of(25)), "26 27 28 29 30 31");
    spool_close(s);
}

static void
test_trim_keeps_the_last_segment(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);

    append_transactions(s, 1, 30, 2);
    trim_all(s);
    assert_int_equal(file_count(*state), 1);
    append_transaction(s, 31, 1);
    assert_transactions(read_spool(s, end_of(30)), "31");
    spool_close(s);
}

/* After a crash the transaction is cut at its beginning: that may not be gone. */
static void
test_trim_keeps_the_open_transaction(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    char *copy;

    append_transactions(s, 1, 30, 2);
    append_unfinished(s, 31);
    sync_spool(s);
    trim_all(s);
    assert_true(file_count(*state) > 3);
    copy = directory_copy(*state);
    spool_close(s);

    s = fixture_open(copy, SMALL_SEGMENTS);
    assert_true(spool_end_lsn(s) == end_of(30));
    append_transactions(s, 31, 31, 1);
    assert_transactions(read_spool(s, end_of(30)), "31");
    spool_close(s);
    directory_drop(copy);
}

static void
test_trim_under_an_idle_reader(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    struct spool_record record;
    struct spool_reader *r;
    struct error err = {0};
    enum spool_outcome outcome;

    append_transactions(s, 1, 30, 2);
    flush_spool(s);
    r = open_reader(s, 0);
    trim_all(s);
    do
        outcome = spool_read(r, &record, &err);
    while (outcome == SPOOL_RECORD);
    assert_int_equal(outcome, SPOOL_ERROR);
    assert_error(&err, "spool file \"%s/0000000000000001.spool\" was trimmed while it was read",
                 (char *)*state);
    spool_reader_close(r);
    spool_close(s);
}

static void
test_progress_moves_the_end(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    struct error err = {0};
    struct message m = {.kind = MESSAGE_BEGIN};
    uint64_t bytes;

    append_transactions(s, 1, 1, 1);
    append_progress(s, 5000);
    assert_true(spool_end_lsn(s) == 5000);
    sync_spool(s);
    bytes = spool_bytes(s);
    append_progress(s, 4000);
    sync_spool(s);
    assert_true(spool_end_lsn(s) == 5000);
    assert_int_equal(spool_bytes(s), bytes);
    spool_close(s);

    s = fixture_open(*state, SMALL_SEGMENTS);
    assert_true(spool_end_lsn(s) == 5000);
    m.begin.final_lsn = 4900;
    assert_false(spool_append(s, &m, 4800, &err));
    assert_error(&err, "the transaction committed at 0/1324 came after the spool had reached 0/1388");
    append_transactions(s, 6, 6, 1);
    append_begin(s, 7);
    assert_false(spool_append_progress(s, 9000, &err));
    assert_error(&err, "progress was reported within a transaction");
    append_commit(s, 7);
    assert_transactions(read_spool(s, end_of(1)), "6 7");
    assert_transactions(read_spool(s, 5000), "6 7");
    spool_close(s);
}

/* Progress alone may carry the spool into new segments; nothing is missing then behind what was applied. */
static void
test_trim_over_progress(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);

    append_transactions(s, 1, 1, 1);
    for (lsn_t lsn = 5000; lsn < 5200; lsn++)
        append_progress(s, lsn);
    assert_true(file_count(*state) > 3);
    trim_all(s);
    append_transactions(s, 6, 6, 1);
    assert_transactions(read_spool(s, end_of(1)), "6");
    spool_close(s);
}

/* What is appended is not what a reader can see: an empty read tells nothing about the writer's end. */
static void
test_reader_knows_how_far_it_has_come(void **state)
{
    struct spool *s = fixture_open(*state, LARGE_SEGMENTS);
    struct error err = {0};
    struct spool_reader *r = spool_reader_open(s, 0, &err);
    struct spool_position start = spool_reader_position(r);
    struct spool_record record;

    append_transactions(s, 1, 2, 1);
    assert_int_equal(spool_end_lsn(s), end_of(2));
    assert_int_equal(spool_read(r, &record, &err), SPOOL_EMPTY);
    assert_int_equal(spool_reader_lsn(r), 0);
    flush_spool(s);
    while (spool_read(r, &record, &err) == SPOOL_RECORD && record.message.kind != MESSAGE_COMMIT)
        assert_int_equal(spool_reader_lsn(r), 0);
    assert_int_equal(spool_reader_lsn(r), end_of(1));
    while (spool_read(r, &record, &err) == SPOOL_RECORD)
        continue;
    assert_int_equal(spool_reader_lsn(r), end_of(2));
    append_progress(s, 5000);
    sync_spool(s);
    assert_int_equal(spool_read(r, &record, &err), SPOOL_EMPTY);
    assert_int_equal(spool_reader_lsn(r), 5000);
    assert_ok(spool_seek(r, start, &err), &err);
    assert_int_equal(spool_reader_lsn(r), 0);
    spool_reader_close(r);
    spool_close(s);
}

static void
expect_order_error(struct spool *s, const struct message *m, const char *text)
{
    struct error err = {0};

    assert_false(spool_append(s, m, 1, &err));
    assert_error(&err, "%s", text);
}

static void
test_messages_out_of_order(void **state)
{
    struct spool *s = fixture_open(*state, LARGE_SEGMENTS);
    struct message begin = {.kind = MESSAGE_BEGIN}, commit = {.kind = MESSAGE_COMMIT};
    struct message row = {.kind = MESSAGE_INSERT}, logical = {.kind = MESSAGE_LOGICAL};

    append_transactions(s, 1, 2, 1);
    begin.begin.final_lsn = commit_of(2);
    logical.logical.prefix = logical.logical.content = "";
    logical.logical.transactional = true;
    row.row.relation = TABLE_OID;
    expect_order_error(s, &begin,
                       "the transaction committed at 0/B54 came after the spool had reached 0/B86");
    expect_order_error(s, &commit, "a commit came outside of a transaction");
    expect_order_error(s, &row, "a change came outside of a transaction");
    expect_order_error(s, &logical, "a change came outside of a transaction");
    append_begin(s, 3);
    expect_order_error(s, &begin, "a transaction began within a transaction");
    commit.commit.commit_lsn = commit_of(4);
    commit.commit.end_lsn = end_of(4);
    expect_order_error(s, &commit,
                       "the commit at 0/1324 does not belong to the transaction that ends at 0/F3C");
    row.row.relation = 1;
    expect_order_error(s, &row, "a change of relation 1 came before its definition");
    append_commit(s, 3);
    assert_transactions(read_spool(s, 0), "1 2 3");
    spool_close(s);
}

static void
test_origins_are_not_kept(void **state)
{
    struct spool *s = fixture_open(*state, LARGE_SEGMENTS);
    struct message origin = {.kind = MESSAGE_ORIGIN}, ignored = {.kind = MESSAGE_IGNORED};
    struct error err = {0};

    origin.origin.name = "upstream";
    assert_ok(spool_append(s, &origin, 1, &err), &err);
    assert_ok(spool_append(s, &ignored, 1, &err), &err);
    sync_spool(s);
    assert_int_equal(spool_bytes(s), SEGMENT_HEADER);
    spool_close(s);
}

static void
test_identity_must_match(void **state)
{
    struct spool_identity others[4] = {fixture_identity(), fixture_identity(), fixture_identity(),
                                       fixture_identity()};
    static const char *const differing[4] = {"job", "replication slot", "cluster", "timeline"};
    struct error err = {0};

    spool_close(fixture_open(*state, LARGE_SEGMENTS));
    others[0].job[0] = 'X';
    others[1].slot[0] = 'X';
    others[2].system_identifier++;
    others[3].timeline++;
    for (size_t i = 0; i < 4; i++) {
        assert_null(spool_open(*state, &others[i], LARGE_SEGMENTS, &err));
        assert_string_equal(err.detail, "It was made for job \"unit\", slot \"pgrecast_unit\", system "
                                        "7123456789012345678, timeline 3.");
        assert_error(&err, "spool directory \"%s\" belongs to another %s", (char *)*state, differing[i]);
    }
    spool_close(fixture_open(*state, LARGE_SEGMENTS));
}

static void
test_one_writer(void **state)
{
    struct spool_identity identity = fixture_identity();
    struct spool *s = fixture_open(*state, LARGE_SEGMENTS);
    struct error err = {0};

    assert_null(spool_open(*state, &identity, LARGE_SEGMENTS, &err));
    assert_error(&err, "spool directory \"%s\" is in use by another process", (char *)*state);
    assert_false(spool_remove(*state, &err));
    assert_error(&err, "spool directory \"%s\" is in use by another process", (char *)*state);
    spool_close(s);
    spool_close(fixture_open(*state, LARGE_SEGMENTS));
}

static void
test_remove(void **state)
{
    char *directory = mem_printf("%s/spool", (char *)*state);
    char *foreign = mem_printf("%s/notes", directory);
    struct spool *s = fixture_open(directory, SMALL_SEGMENTS);
    struct error err = {0};
    FILE *file;

    append_transactions(s, 1, 30, 2);
    spool_close(s);
    file = fopen(foreign, "w");
    assert_non_null(file);
    fclose(file);
    assert_false(spool_remove(directory, &err));
    assert_error(&err, "spool directory \"%s\" holds \"notes\", which is not the spool's", directory);
    assert_transactions(read_directory(directory),
                        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30");
    unlink(foreign);
    assert_ok(spool_remove(directory, &err), &err);
    assert_int_equal(access(directory, F_OK), -1);
    assert_ok(spool_remove(directory, &err), &err);
    assert_null(spool_reader_open_directory(directory, &err));
    assert_error(&err, "cannot open directory \"%s\": No such file or directory", directory);
    free(foreign);
    free(directory);
}

static void
test_directory_without_a_spool(void **state)
{
    struct error err = {0};

    assert_null(spool_reader_open_directory(*state, &err));
    assert_error(&err, "there is no spool in \"%s\"", (char *)*state);
}

/* Resident memory in kB. */
static long
resident_kb(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size, resident;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &size, &resident), 2);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* A large value passes, and leaves no memory behind. */
static void
pass_large_value(const char *directory, size_t len, uint64_t segment_bytes)
{
    struct spool *s = fixture_open(directory, segment_bytes);
    char *body = mem_realloc(NULL, len);
    struct spool_record record;
    struct spool_reader *r;
    struct error err = {0};
    long before;

    for (size_t i = 0; i < len; i++)
        body[i] = (char)(i * 31 + i / 4096);
    append_transactions(s, 1, 1, 1);
    append_begin(s, 2);
    before = resident_kb();
    append_insert(s, 2, 1, body, len);
    assert_true(resident_kb() - before < 4096); /* written without a copy */
    append_commit(s, 2);
    append_transaction(s, 3, 1);
    flush_spool(s);
    r = open_reader(s, end_of(1));
    read_until(r, &record, MESSAGE_INSERT);
    assert_int_equal(record.message.row.new_row.values[1].len, len);
    assert_memory_equal(record.message.row.new_row.values[1].data, body, len);
    assert_int_equal(spool_read(r, &record, &err), SPOOL_RECORD);
    assert_true(resident_kb() - before < 16384);
    assert_transactions(read_to_end(r), "3");
    free(body);
    spool_close(s);
}

static void
test_value_of_200_mb(void **state)
{
    pass_large_value(*state, (size_t)200 * 1024 * 1024, LARGE_SEGMENTS);
}

static void
test_value_larger_than_a_segment(void **state)
{
    pass_large_value(*state, (size_t)40 * 1024 * 1024, 1024 * 1024);
}

static void
test_record_over_the_cap(void **state)
{
    struct spool *s = fixture_open(*state, LARGE_SEGMENTS);
    struct value value = {VALUE_TEXT, "", 1100 * 1024 * 1024u}; /* refused before it is looked at */
    struct message m = {.kind = MESSAGE_INSERT};
    struct error err = {0};

    append_transactions(s, 1, 1, 1);
    append_begin(s, 2);
    m.row.relation = TABLE_OID;
    m.row.new_row = (struct tuple){1, &value};
    assert_false(spool_append(s, &m, 2000, &err));
    assert_error(&err, "a change of 1153433637 bytes is too large for the spool");
    append_commit(s, 2);
    assert_transactions(read_spool(s, 0), "1 2");
    spool_close(s);
}

#define THREAD_TRANSACTIONS 3000

struct reader_thread {
    struct spool *spool;
    unsigned transactions;
    uint64_t rows;
    struct error err;
};

/* Reads, checks the order, and trims what it has read. */
static void *
reader_main(void *arg)
{
    struct reader_thread *t = arg;
    struct spool_reader *r = spool_reader_open(t->spool, 0, &t->err);
    struct spool_record record;

    while (r != NULL && t->transactions < THREAD_TRANSACTIONS) {
        enum spool_outcome outcome = spool_read(r, &record, &t->err);

        if (outcome == SPOOL_ERROR)
            break;
        if (outcome == SPOOL_EMPTY) {
            spool_wait(t->spool, r, 100);
        } else if (record.message.kind == MESSAGE_INSERT) {
            t->rows++;
        } else if (record.message.kind == MESSAGE_COMMIT) {
            t->transactions++;
            if (record.message.commit.end_lsn != end_of(t->transactions) ||
                (t->transactions % 100 == 0 && !spool_trim(t->spool, record.next, &t->err)))
                break;
        }
    }
    spool_reader_close(r);
    return NULL;
}

static void
test_reader_in_another_thread(void **state)
{
    struct spool *s = fixture_open(*state, 20000);
    struct reader_thread reader = {.spool = s};
    pthread_t thread;
    uint64_t rows = 0;

    assert_int_equal(pthread_create(&thread, NULL, reader_main, &reader), 0);
    append_table(s, 1);
    for (unsigned n = 1; n <= THREAD_TRANSACTIONS; n++) {

        append_transaction(s, n, n % 40);
        rows += n % 40;
        if (n % 7 == 0)
            flush_spool(s);
        if (n % 500 == 0)
            sync_spool(s);
    }
    sync_spool(s);
    pthread_join(thread, NULL);
    assert_ok(reader.err.kind == ERROR_NONE, &reader.err);
    assert_int_equal(reader.transactions, THREAD_TRANSACTIONS);
    assert_int_equal(reader.rows, rows);
    assert_true(file_count(*state) < 20);
    spool_close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(test_roundtrip_of_goldens),
        IN_DIRECTORY(test_new_spool_is_empty_and_private),
        IN_DIRECTORY(test_readers_see_what_was_flushed),
        IN_DIRECTORY(test_reopened_spool_goes_on),
        IN_DIRECTORY(test_open_after_each_transaction),
        IN_DIRECTORY(test_open_within_an_unfinished_transaction),
        IN_DIRECTORY(test_each_segment_explains_its_rows),
        IN_DIRECTORY(test_seek_gives_definitions_again),
        IN_DIRECTORY(test_seek_gives_the_definition_of_the_place),
        IN_DIRECTORY(test_seek_between_segments),
        IN_DIRECTORY(test_trim_removes_what_was_read),
        IN_DIRECTORY(test_trim_keeps_the_last_segment),
        IN_DIRECTORY(test_trim_keeps_the_open_transaction),
        IN_DIRECTORY(test_trim_under_an_idle_reader),
        IN_DIRECTORY(test_progress_moves_the_end),
        IN_DIRECTORY(test_trim_over_progress),
        IN_DIRECTORY(test_reader_knows_how_far_it_has_come),
        IN_DIRECTORY(test_messages_out_of_order),
        IN_DIRECTORY(test_origins_are_not_kept),
        IN_DIRECTORY(test_identity_must_match),
        IN_DIRECTORY(test_one_writer),
        IN_DIRECTORY(test_remove),
        IN_DIRECTORY(test_directory_without_a_spool),
        IN_DIRECTORY(test_value_of_200_mb),
        IN_DIRECTORY(test_value_larger_than_a_segment),
        IN_DIRECTORY(test_record_over_the_cap),
        IN_DIRECTORY(test_reader_in_another_thread),
    };

    return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
