/* What crashes, full disks and rotten bits do to a spool, and what it does about them. */
#include "spool_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"

/* The last sync of a file: what of it would survive a power failure. */
struct synced_file {
    ino_t inode;
    off_t size;
};

static bool syncs_fail;
static struct synced_file synced_files[64];
static size_t synced_file_count;

static void
note_sync(int fd)
{
    struct stat status;
    size_t i = 0;

    assert_int_equal(fstat(fd, &status), 0);
    while (i < synced_file_count && synced_files[i].inode != status.st_ino)
        i++;
    if (i == 64)
        return;
    if (i == synced_file_count)
        synced_file_count++;
    synced_files[i].inode = status.st_ino;
    synced_files[i].size = status.st_size;
}

static off_t
synced_size(const char *path)
{
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    for (size_t i = 0; i < synced_file_count; i++) {
        if (synced_files[i].inode == status.st_ino)
            return synced_files[i].size;
    }
    return 0;
}

/*
 * These two take the place of libc's in this program: nothing here depends on the disk, and hundreds of
 * spools are opened.
 */
int
fsync(int fd)
{
    note_sync(fd);
    return 0;
}

int
fdatasync(int fd)
{
    if (syncs_fail) {
        errno = EIO;
        return -1;
    }
    note_sync(fd);
    return 0;
}

/* A file's content, to be put back after it was changed. */
struct image {
    char *path;
    char *data;
    size_t size;
};

static struct image
image_of(const char *directory, uint64_t number)
{
    struct image image = {.path = segment_path(directory, number)};
    FILE *file = fopen(image.path, "r");

    assert_non_null(file);
    image.size = file_size(image.path);
    image.data = mem_realloc(NULL, image.size);
    assert_int_equal(fread(image.data, 1, image.size, file), image.size);
    fclose(file);
    return image;
}

static void
image_restore(const struct image *image)
{
    FILE *file = fopen(image->path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(image->data, 1, image->size, file), image->size);
    assert_int_equal(fclose(file), 0);
}

static void
image_free(struct image *image)
{
    free(image->path);
    free(image->data);
}

/* The error says that a segment is damaged: where, and how. */
static void
assert_damaged(struct error *err, const char *directory, uint64_t number, const char *where_and_how)
{
    char *path = segment_path(directory, number);

    assert_error(err, "spool file \"%s\" is damaged at offset %s", path, where_and_how);
    free(path);
}

/* The same where every place is tried. */
static void
assert_damaged_somewhere(struct error *err, const char *directory, const char *where)
{
    char *path = segment_path(directory, 1);

    assert_error_begins(err, "spool file \"%s\" is damaged at offset %s", path, where);
    free(path);
}

static struct error
refusal(const char *directory)
{
    struct spool_identity identity = fixture_identity();
    struct error err = {0};

    assert_null(spool_open(directory, &identity, LARGE_SEGMENTS, &err));
    return err;
}

static void
expect_not_opened(const char *directory, uint64_t number, const char *where_and_how)
{
    struct error err = refusal(directory);

    assert_damaged(&err, directory, number, where_and_how);
}

static void
expect_damaged_somewhere(const char *directory, const char *where)
{
    struct error err = refusal(directory);

    assert_damaged_somewhere(&err, directory, where);
}

/* The reader gives an error in the end. It is closed. */
static struct error
read_to_error(struct spool_reader *r)
{
    struct spool_record record;
    struct error err = {0};

    while (spool_read(r, &record, &err) == SPOOL_RECORD)
        continue;
    assert_int_equal(err.kind, ERROR_FAILED);
    spool_reader_close(r);
    return err;
}

/* A spool as a crash leaves it: transactions 1 and 2 are on disk, 3 is written. */
struct crashed {
    char *directory;
    struct image image;
    size_t synced; /* end of transaction 2 */
};

static struct crashed
crash(char *directory)
{
    struct spool *s = fixture_open(directory, LARGE_SEGMENTS);
    struct crashed crashed = {0};
    char *path = segment_path(directory, 1);

    append_transactions(s, 1, 1, 2);
    sync_spool(s);
    append_transaction(s, 2, 2);
    sync_spool(s);
    crashed.synced = file_size(path);
    append_transaction(s, 3, 2);
    flush_spool(s);
    crashed.directory = directory_copy(directory);
    crashed.image = image_of(crashed.directory, 1);
    spool_close(s);
    free(path);
    return crashed;
}

static void
crashed_free(struct crashed *crashed)
{
    image_free(&crashed->image);
    directory_drop(crashed->directory);
}

/* The spool opens, ends with transaction 2, and takes 3 again. */
static void
assert_recovers(const struct crashed *crashed)
{
    struct spool *s = fixture_open(crashed->directory, LARGE_SEGMENTS);

    assert_true(spool_end_lsn(s) == end_of(2));
    assert_int_equal(file_size(crashed->image.path), crashed->synced);
    append_transactions(s, 3, 3, 2);
    assert_transactions(read_spool(s, 0), "1 2 3");
    spool_close(s);
    assert_transactions(read_directory(crashed->directory), "1 2 3");
}

static void
test_crash_of_the_program_alone(void **state)
{
    struct crashed crashed = crash(*state);
    struct spool *s = fixture_open(crashed.directory, LARGE_SEGMENTS);

    assert_true(spool_end_lsn(s) == end_of(3));
    assert_transactions(read_spool(s, 0), "1 2 3");
    spool_close(s);
    crashed_free(&crashed);
}

static void
test_torn_at_every_byte(void **state)
{
    struct crashed crashed = crash(*state);

    for (size_t size = crashed.synced; size < crashed.image.size; size++) {
        char *text;

        image_restore(&crashed.image);
        file_cut(crashed.image.path, size);
        text = read_directory(crashed.directory); /* ends where the file ends */
        assert_non_null(strstr(text, "COMMIT 0/B54 0/B86"));
        assert_null(strstr(text, "COMMIT 0/F3C"));
        free(text);
        assert_recovers(&crashed);
    }
    crashed_free(&crashed);
}

/* After a power failure any block behind the last sync may be missing: here it reads as zeros. */
static void
test_holes_at_every_byte(void **state)
{
    struct crashed crashed = crash(*state);
    char zeros[64] = {0};

    for (size_t at = crashed.synced; at < crashed.image.size; at++) {
        size_t len = crashed.image.size - at < sizeof(zeros) ? crashed.image.size - at : sizeof(zeros);

        image_restore(&crashed.image);
        file_overwrite(crashed.image.path, at, zeros, len);
        if (memcmp(crashed.image.data + at, zeros, len) != 0)
            assert_recovers(&crashed);
    }
    crashed_free(&crashed);
}

static void
test_flips_behind_the_last_sync(void **state)
{
    struct crashed crashed = crash(*state);

    for (size_t at = crashed.synced; at < crashed.image.size; at++) {
        image_restore(&crashed.image);
        file_flip(crashed.image.path, at, (unsigned char)(1 << at % 8));
        assert_recovers(&crashed);
    }
    crashed_free(&crashed);
}

/* What was on disk before the last write is not torn but damaged: nothing of that may be cut silently. */
static void
test_flips_before_the_last_sync(void **state)
{
    struct crashed crashed = crash(*state);
    struct spool_position marked = {0};
    struct spool_reader *r = open_directory_reader(crashed.directory);
    struct spool_record record;

    read_until(r, &record, MESSAGE_COMMIT);
    marked = record.next; /* the second sync noted what the first had brought to disk */
    spool_reader_close(r);
    for (size_t at = SEGMENT_HEADER; at < marked.offset; at++) {
        image_restore(&crashed.image);
        file_flip(crashed.image.path, at, (unsigned char)(1 << at % 8));
        expect_damaged_somewhere(crashed.directory, "1");
        image_restore(&crashed.image);
        file_cut(crashed.image.path, at);
        expect_damaged_somewhere(crashed.directory, "1");
    }
    crashed_free(&crashed);
}

/* Any bit of a spool that was closed well: readers never return anything but what was written. */
static void
test_flips_anywhere(void **state)
{
    struct spool *s = fixture_open(*state, LARGE_SEGMENTS);
    struct image image;
    char *expected;

    append_transactions(s, 1, 3, 2);
    spool_close(s);
    image = image_of(*state, 1);
    expected = read_directory(*state);
    for (size_t at = 0; at < image.size; at++) {
        bool covered = at < 216 || (at >= 512 && at < 528) || at >= SEGMENT_HEADER;
        struct error err = {0};
        struct spool_reader *r;
        struct spool_record record;
        enum spool_outcome outcome = SPOOL_ERROR;

        image_restore(&image);
        file_flip(image.path, at, (unsigned char)(1 << at % 8));
        if (!covered) {
            char *text = read_directory(*state);

            assert_string_equal(text, expected);
            free(text);
            continue;
        }
        r = spool_reader_open_directory(*state, &err);
        while (r != NULL && (outcome = spool_read(r, &record, &err)) == SPOOL_RECORD)
            continue;
        assert_int_equal(outcome, SPOOL_ERROR);
        spool_reader_close(r);
        assert_damaged_somewhere(&err, *state, "");
        expect_damaged_somewhere(*state, "");
    }
    free(expected);
    image_free(&image);
}

/* Whole frames that were lost or doubled are sound by themselves; their sequence gives them away. */
static void
test_missing_record(void **state)
{
    struct spool *s = fixture_open(*state, LARGE_SEGMENTS);
    struct spool_position from = {0}, to = {0};
    struct spool_record record;
    struct spool_reader *r;
    struct error err = {0};
    struct image image;

    append_transactions(s, 1, 3, 2);
    spool_close(s);
    r = open_directory_reader(*state);
    while (spool_read(r, &record, &err) == SPOOL_RECORD) {
        if (record.message.kind == MESSAGE_INSERT && record.lsn == 2000) {
            from = record.position;
            to = record.next;
        }
    }
    spool_reader_close(r);
    image = image_of(*state, 1);
    memmove(image.data + from.offset, image.data + to.offset, image.size - to.offset);
    image.size -= to.offset - from.offset;
    image_restore(&image);
    expect_not_opened(*state, 1, "1504: a record is out of sequence");
    err = read_to_error(open_directory_reader(*state));
    assert_damaged(&err, *state, 1, "1504: a record is out of sequence");
    image_free(&image);
}

static void
test_damage_in_an_earlier_segment(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    char *path = segment_path(*state, 3);
    struct error err;

    append_transactions(s, 1, 30, 2);
    spool_close(s);
    file_flip(path, SEGMENT_HEADER + 30, 1);
    s = fixture_open(*state, SMALL_SEGMENTS); /* only the end is read */
    assert_transactions(read_spool(s, end_of(29)), "30");
    err = read_to_error(open_reader(s, 0));
    assert_string_equal(err.hint, "Changes it held are lost: remove the job and run it again.");
    assert_damaged(&err, *state, 3, "1024: the checksum of a record does not match");
    spool_close(s);
    free(path);
}

static void
test_earlier_segment_cut_short(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    char *path = segment_path(*state, 3);
    struct error err;

    append_transactions(s, 1, 30, 2);
    spool_close(s);
    file_cut(path, file_size(path) - 1);
    err = read_to_error(open_directory_reader(*state));
    assert_damaged(&err, *state, 3, "1696: the file ends within a record");
    free(path);
}

static void
test_segment_under_another_name(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    struct image image;
    char *path = segment_path(*state, 3);

    append_transactions(s, 1, 30, 2);
    spool_close(s);
    image = image_of(*state, 4);
    free(image.path);
    image.path = path;
    image_restore(&image);
    expect_not_opened(*state, 3, "0: the checksum of the sync mark does not match");
    image_free(&image);
}

/* A crash of the machine: of all segments but the last, everything is on disk. */
static void
test_segments_are_synced_before_the_next(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    size_t segments;

    synced_file_count = 0;
    append_transactions(s, 1, 30, 2);
    segments = file_count(*state);
    assert_true(segments > 5);
    for (size_t number = 1; number < segments; number++) {
        char *path = segment_path(*state, number);

        assert_int_equal(synced_size(path), file_size(path));
        free(path);
    }
    spool_close(s);
}

static void
test_missing_segment(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    char *path = segment_path(*state, 4);

    append_transactions(s, 1, 30, 2);
    spool_close(s);
    assert_int_equal(unlink(path), 0);
    expect_not_opened(*state, 4, "0: the file is missing");
    free(path);
}

/* A crash while a segment is made leaves a file that was never part of the spool. */
static void
test_segment_not_yet_made(void **state)
{
    struct spool *s = fixture_open(*state, LARGE_SEGMENTS);
    char *path = mem_printf("%s/0000000000000002.spool.tmp", (char *)*state);
    FILE *file;

    append_transactions(s, 1, 2, 2);
    spool_close(s);
    file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_transactions(read_directory(*state), "1 2");
    s = fixture_open(*state, LARGE_SEGMENTS);
    assert_int_equal(access(path, F_OK), -1);
    assert_transactions(read_spool(s, 0), "1 2");
    spool_close(s);
    free(path);
}

/* A transaction over many segments is cut at its beginning, wherever in it the crash was. */
static void
test_torn_within_a_long_transaction(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    size_t kept, segments;

    append_transactions(s, 1, 5, 2);
    kept = file_count(*state);
    append_unfinished(s, 6);
    sync_spool(s);
    segments = file_count(*state);
    assert_true(segments > kept + 3);
    for (size_t number = kept; number <= segments; number++) {
        char *copy = directory_copy(*state);
        struct spool *again;

        for (size_t gone = number + 1; gone <= segments; gone++) {
            char *path = segment_path(copy, gone);

            assert_int_equal(unlink(path), 0); /* so that the crash was in an earlier one */
            free(path);
        }
        again = fixture_open(copy, SMALL_SEGMENTS);
        assert_true(spool_end_lsn(again) == end_of(5));
        assert_in_range(file_count(copy), 1, kept + 1);
        append_transactions(again, 6, 7, 1);
        assert_transactions(read_spool(again, 0), "1 2 3 4 5 6 7");
        spool_close(again);
        directory_drop(copy);
    }
    spool_close(s);
}

/* The mark of what is synced may lie in the transaction that is cut: after the next crash it must not look
 * lost. */
static void
test_cut_before_the_mark(void **state)
{
    struct spool *s = fixture_open(*state, LARGE_SEGMENTS);
    char *copy, *again;

    append_transactions(s, 1, 2, 2);
    append_begin(s, 3);
    for (unsigned id = 0; id < 4; id++) {
        append_insert(s, 3, id, "row", 3);
        sync_spool(s);
    }
    copy = directory_copy(*state);
    spool_close(s);
    s = fixture_open(copy, LARGE_SEGMENTS);
    assert_true(spool_end_lsn(s) == end_of(2));
    again = directory_copy(copy);
    spool_close(s);
    s = fixture_open(again, LARGE_SEGMENTS);
    assert_true(spool_end_lsn(s) == end_of(2));
    append_transactions(s, 3, 3, 1);
    assert_transactions(read_spool(s, 0), "1 2 3");
    spool_close(s);
    directory_drop(again);
    directory_drop(copy);
}

/* The end of a long transaction was read and its segments trimmed, but a crash has undone that end on disk.
 */
static void
test_torn_after_its_begin_was_trimmed(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    size_t before, number;
    char *copy, *path;

    append_transactions(s, 1, 5, 2);
    append_unfinished(s, 6);
    sync_spool(s);
    number = file_count(*state);
    path = segment_path(*state, number);
    before = file_size(path);
    free(path);
    append_commit(s, 6);
    flush_spool(s);
    trim_all(s);
    assert_int_equal(file_count(*state), 1);
    copy = directory_copy(*state);
    spool_close(s);
    path = segment_path(copy, number);
    file_cut(path, before);
    free(path);

    s = fixture_open(copy, SMALL_SEGMENTS);
    assert_true(spool_end_lsn(s) == end_of(5));
    assert_transactions(read_spool(s, end_of(5)), "");
    append_transactions(s, 6, 7, 1);
    assert_transactions(read_spool(s, end_of(5)), "6 7");
    spool_close(s);
    directory_drop(copy);
}

/* Files of this process may not grow beyond so many bytes: a full disk for everyone, not only for root. */
static void
limit_file_size(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_IGN);
}

static int
lift_limit(void **state)
{
    limit_file_size(RLIM_INFINITY);
    return drop_directory(state);
}

static struct message
wide_insert(struct value values[1], const char *body, size_t len)
{
    struct message m = {.kind = MESSAGE_INSERT};

    values[0] = (struct value){VALUE_TEXT, body, (uint32_t)len};
    m.row.relation = TABLE_OID;
    m.row.new_row.count = 1;
    m.row.new_row.values = values;
    return m;
}

/* Appends until it fails, each row once; returns how many rows there are then. */
static unsigned
append_until_full(struct spool *s, size_t len, struct error *err)
{
    char *body = mem_alloc(len);
    struct value values[1];
    struct message m = wide_insert(values, body, len);
    unsigned rows = 0;

    while (rows < 1000000 && spool_append(s, &m, rows, err))
        rows++;
    free(body);
    return rows;
}

static unsigned
count_inserts(const char *text)
{
    unsigned count = 0;

    for (const char *at = text; (at = strstr(at, "INSERT")) != NULL; at++)
        count++;
    return count;
}

/* Full while rows of this length are appended: what was written is readable, and with room again all goes on.
 */
static void
fill_up(char *directory, size_t len)
{
    struct spool *s = fixture_open(directory, LARGE_SEGMENTS);
    char *path = segment_path(directory, 1);
    struct error err = {0};
    unsigned rows, readable;
    char *text, *copy;

    append_transactions(s, 1, 1, 1);
    append_begin(s, 2);
    limit_file_size(1000003);
    rows = append_until_full(s, len, &err);
    assert_true(rows > 0);
    assert_string_equal(err.hint, "Make room on the file system of the spool.");
    assert_error(&err, "cannot write \"%s\": File too large", path);
    spool_sync(s, &err); /* succeeds where the row that did not fit was a large one */
    error_clear(&err);
    assert_int_equal(spool_bytes(s), file_size(path)); /* whole records only */

    copy = directory_copy(directory);
    text = read_directory(directory);
    readable = count_inserts(text) - 1; /* the one of transaction 1 */
    assert_in_range(readable, 1, rows);
    assert_true((readable + 1) * (len + 50) > 1000003 - 60 - len);
    free(text);

    limit_file_size(RLIM_INFINITY);
    append_insert(s, 2, 0, "x", 1);
    append_commit(s, 2);
    append_transaction(s, 3, 1);
    text = read_spool(s, 0);
    assert_int_equal(count_inserts(text), 1 + rows + 1 + 1);
    assert_transactions(text, "1 2 3");
    spool_close(s);

    s = fixture_open(copy, LARGE_SEGMENTS); /* as if it had died when the disk was full */
    assert_true(spool_end_lsn(s) == end_of(1));
    assert_transactions(read_spool(s, 0), "1");
    spool_close(s);
    directory_drop(copy);
    free(path);
}

static void
test_full_disk_with_small_rows(void **state)
{
    fill_up(*state, 100);
}

static void
test_full_disk_with_large_rows(void **state)
{
    fill_up(*state, 300000);
}

/* No room for a new segment: the old one goes on, and the next one comes as soon as there is. */
static void
test_full_disk_at_a_new_segment(void **state)
{
    struct spool *s = fixture_open(*state, 3000);
    struct message m = {.kind = MESSAGE_BEGIN};
    struct error err = {0};
    char *expected;
    unsigned n = 1;

    append_table(s, 1);
    for (; spool_bytes(s) < 3000; n++) {
        append_transaction(s, n, 2);
        sync_spool(s);
    }
    limit_file_size(100); /* less than a header */
    m.begin.final_lsn = commit_of(n);
    m.begin.xid = n;
    for (int attempt = 0; attempt < 3; attempt++) {
        assert_false(spool_append(s, &m, (lsn_t)n * 1000, &err));
        assert_error(&err, "cannot write \"%s/0000000000000002.spool.tmp\": No space left on device",
                     (char *)*state);
        assert_int_equal(file_count(*state), 1);
    }
    limit_file_size(RLIM_INFINITY);
    append_transaction(s, n, 2);
    assert_int_equal(file_count(*state), 2);
    expected = numbers_from(1, n);
    assert_transactions(read_spool(s, 0), expected);
    free(expected);
    spool_close(s);
}

/* After a failed fsync nobody knows what is on disk; a second one would say that all is well. */
static void
test_failed_sync_is_final(void **state)
{
    struct spool *s = fixture_open(*state, LARGE_SEGMENTS);
    struct message m = {.kind = MESSAGE_BEGIN};
    struct error err = {0};

    append_transactions(s, 1, 2, 2);
    syncs_fail = true;
    assert_false(spool_sync(s, &err));
    assert_error(&err, "cannot sync \"%s/0000000000000001.spool\": Input/output error", (char *)*state);
    syncs_fail = false;
    assert_false(spool_sync(s, &err));
    assert_error(&err, "the spool in \"%s\" has failed before and has to be opened again", (char *)*state);
    assert_false(spool_flush(s, &err));
    assert_error(&err, "the spool in \"%s\" has failed before and has to be opened again", (char *)*state);
    assert_false(spool_append(s, &m, 1, &err));
    assert_error(&err, "the spool in \"%s\" has failed before and has to be opened again", (char *)*state);
    assert_false(spool_append_progress(s, 1, &err));
    assert_error(&err, "the spool in \"%s\" has failed before and has to be opened again", (char *)*state);
    spool_close(s);
    s = fixture_open(*state, LARGE_SEGMENTS);
    assert_true(spool_end_lsn(s) == end_of(2));
    spool_close(s);
}

#define WITH_LIMIT(function) cmocka_unit_test_setup_teardown(function, make_directory, lift_limit)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(test_crash_of_the_program_alone),
        IN_DIRECTORY(test_torn_at_every_byte),
        IN_DIRECTORY(test_holes_at_every_byte),
        IN_DIRECTORY(test_flips_behind_the_last_sync),
        IN_DIRECTORY(test_flips_before_the_last_sync),
        IN_DIRECTORY(test_flips_anywhere),
        IN_DIRECTORY(test_missing_record),
        IN_DIRECTORY(test_damage_in_an_earlier_segment),
        IN_DIRECTORY(test_earlier_segment_cut_short),
        IN_DIRECTORY(test_segment_under_another_name),
        IN_DIRECTORY(test_segments_are_synced_before_the_next),
        IN_DIRECTORY(test_missing_segment),
        IN_DIRECTORY(test_segment_not_yet_made),
        IN_DIRECTORY(test_torn_within_a_long_transaction),
        IN_DIRECTORY(test_cut_before_the_mark),
        IN_DIRECTORY(test_torn_after_its_begin_was_trimmed),
        WITH_LIMIT(test_full_disk_with_small_rows),
        WITH_LIMIT(test_full_disk_with_large_rows),
        WITH_LIMIT(test_full_disk_at_a_new_segment),
        IN_DIRECTORY(test_failed_sync_is_final),
    };

    log_configure(LOG_TEXT, LOG_ERROR); /* hundreds of torn tails are announced */
    return cmocka_run_group_tests_name("spool/damage", tests, NULL, NULL);
}
