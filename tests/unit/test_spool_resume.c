/* What a job that is resumed relies on: the spool ends behind all that was synced, and reading starts at the
 * saved position. */
#include "spool_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"

/* These take the place of libc's in this program: nothing here depends on the disk. */
int
fsync(int fd)
{
    (void)fd;
    return 0;
}

int
fdatasync(int fd)
{
    (void)fd;
    return 0;
}

/* The spool of a program that was killed when its last file had a size: it ends at one of what was synced or
 * later. */
static void
assert_end_after_kill(const char *directory, uint64_t number, size_t size, lsn_t synced)
{
    char *copy = directory_copy(directory), *path = segment_path(copy, number);
    struct spool *s;

    file_cut(path, size);
    s = fixture_open(copy, SMALL_SEGMENTS);
    assert_true(spool_end_lsn(s) >= synced);
    spool_close(s);
    free(path);
    directory_drop(copy);
}

/* Killed at each byte behind a sync, within a transaction too; the end is never before what was synced. */
static void
test_killed_at_every_byte(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);

    append_table(s, 1);
    for (unsigned n = 1; n <= 8; n++) {
        uint64_t number = file_count(*state);
        char *path = segment_path(*state, number);
        lsn_t synced;
        size_t from;

        sync_spool(s);
        synced = spool_end_lsn(s);
        from = file_size(path);
        append_transaction(s, n, n % 3);
        if (n % 2 == 0)
            append_progress(s, end_of(n) + 10);
        flush_spool(s);
        if (file_count(*state) > number)
            assert_end_after_kill(*state, number + 1, SEGMENT_HEADER, synced);
        else
            for (size_t size = from; size <= file_size(path); size++)
                assert_end_after_kill(*state, number, size, synced);
        append_begin(s, 100 + n); /* it is synced, but not whole */
        append_insert(s, 100 + n, 1, "row", 3);
        synced = spool_end_lsn(s);
        sync_spool(s);
        number = file_count(*state);
        free(path);
        path = segment_path(*state, number);
        assert_end_after_kill(*state, number, file_size(path), synced);
        spool_close(s);
        s = fixture_open(*state, SMALL_SEGMENTS);
        append_table(s, n);
        free(path);
    }
    spool_close(s);
}

/* Trimmed up to each transaction in turn, also within the segment that its end and the next one share. */
static void
test_read_from_where_it_was_trimmed(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    struct spool_reader *r;
    struct spool_record record;
    struct error err = {0};

    append_transactions(s, 1, 9, 2);
    append_transaction(s, 10, 100);
    for (unsigned n = 11; n <= 20; n++)
        append_transaction(s, n, 2);
    flush_spool(s);
    r = spool_reader_open(s, 0, &err);
    for (unsigned n = 1; n <= 20; n++) {
        char *expected = numbers_from(n + 1, 20);

        read_until(r, &record, MESSAGE_COMMIT);
        trim_spool(s, spool_reader_position(r));
        assert_transactions(read_spool(s, end_of(n)), expected);
        spool_reader_close(r);
        spool_close(s);
        s = fixture_open(*state, SMALL_SEGMENTS);
        assert_transactions(read_spool(s, end_of(n)), expected);
        assert_transactions(read_spool(s, end_of(n) + 10), expected);
        r = open_reader(s, end_of(n));
        free(expected);
    }
    spool_reader_close(r);
    spool_close(s);
}

/* The next transaction a reader gives, with its rows understood; 0: none now. */
static unsigned
next_transaction(struct spool *s, struct spool_reader *r)
{
    struct spool_record record;
    struct error err = {0};
    enum spool_outcome outcome;
    unsigned xid = 0;
    bool described = false;

    flush_spool(s);
    while ((outcome = spool_read(r, &record, &err)) == SPOOL_RECORD) {
        if (record.message.kind == MESSAGE_RELATION)
            described = true;
        else if (record.message.kind == MESSAGE_BEGIN)
            xid = record.message.begin.xid;
        else if (record.message.kind == MESSAGE_COMMIT)
            return described ? xid : 0;
    }
    assert_ok(outcome == SPOOL_EMPTY, &err);
    assert_int_equal(xid, 0);
    return 0;
}

static void
test_read_from_the_end(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    struct spool_reader *r, *behind;

    append_transactions(s, 1, 3, 2);
    append_progress(s, 8000);
    flush_spool(s);
    r = open_reader(s, end_of(5));
    behind = open_reader(s, 8000);
    assert_false(spool_wait(s, r, 0));
    assert_int_equal(next_transaction(s, r), 0);
    append_table(s, 8);
    append_transaction(s, 8, 1);
    assert_int_equal(next_transaction(s, r), 8);
    assert_int_equal(next_transaction(s, behind), 8);
    assert_int_equal(next_transaction(s, r), 0);
    spool_reader_close(r);
    spool_reader_close(behind);
    spool_close(s);
}

/* The saved position is ahead of the spool, as on another machine: what ends up to it is passed over, also
 * when it comes in pieces, over segments, and when the reader goes back to where it started. */
static void
test_read_from_beyond_the_end(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    struct spool_reader *r = open_reader(s, end_of(12));
    struct spool_position start = spool_reader_position(r);
    struct error err = {0};

    assert_int_equal(next_transaction(s, r), 0);
    append_transactions(s, 1, 5, 2);
    assert_int_equal(next_transaction(s, r), 0);
    append_begin(s, 6);
    for (unsigned id = 0; id < 100; id++) {
        append_insert(s, 6, id, "in pieces", 9);
        assert_int_equal(next_transaction(s, r), 0);
    }
    append_commit(s, 6);
    for (unsigned n = 7; n <= 12; n++) {
        append_transaction(s, n, 10);
        assert_int_equal(next_transaction(s, r), 0);
    }
    assert_ok(spool_seek(r, start, &err), &err);
    assert_int_equal(next_transaction(s, r), 0);
    assert_false(spool_wait(s, r, 0));
    append_transaction(s, 13, 1);
    append_transaction(s, 14, 1);
    assert_int_equal(next_transaction(s, r), 13);
    assert_ok(spool_seek(r, start, &err), &err);
    assert_int_equal(next_transaction(s, r), 13);
    assert_int_equal(next_transaction(s, r), 14);
    spool_reader_close(r);
    spool_close(s);
}

/* While the place to start is searched the spool may be trimmed up to where the reader says that it is. */
static void
test_trim_while_passing_over(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    struct spool_reader *r = open_reader(s, end_of(31));

    append_table(s, 1);
    for (unsigned n = 1; n <= 30; n++) {
        append_transaction(s, n, 5);
        assert_int_equal(next_transaction(s, r), 0);
        trim_spool(s, spool_reader_position(r));
    }
    assert_true(file_count(*state) <= 2);
    append_begin(s, 32);
    append_insert(s, 32, 1, "row", 3);
    flush_spool(s);
    for (unsigned id = 2; id < 100; id++)
        append_insert(s, 32, id, "row", 3);
    append_commit(s, 32);
    trim_spool(s, spool_reader_position(r));
    assert_int_equal(next_transaction(s, r), 32);
    spool_reader_close(r);
    spool_close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(test_killed_at_every_byte),    IN_DIRECTORY(test_read_from_where_it_was_trimmed),
        IN_DIRECTORY(test_read_from_the_end),       IN_DIRECTORY(test_read_from_beyond_the_end),
        IN_DIRECTORY(test_trim_while_passing_over),
    };

    log_configure(LOG_TEXT, LOG_ERROR); /* torn tails are announced */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
