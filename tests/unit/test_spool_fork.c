/* A spool after a failover: cut where the old timeline was left, whatever stands there and whatever fails. */
#include "spool_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"

#define LONG_TRANSACTION 10
#define LAST_TRANSACTION 20

/* How many calls that change a directory or a file for good succeed; -1: all. The next one and all after it
 * fail, as if the program had ended there. */
static int steps = -1;

static bool
step(void)
{
    if (steps == 0) {
        errno = EIO;
        return false;
    }
    if (steps > 0)
        steps--;
    return true;
}

/* These take the place of libc's in this program. */
int
fsync(int fd)
{
    (void)fd;
    return step() ? 0 : -1;
}

int
fdatasync(int fd)
{
    return fsync(fd);
}

int
unlinkat(int dirfd, const char *name, int flags)
{
    return step() ? (int)syscall(SYS_unlinkat, dirfd, name, flags) : -1;
}

int
renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return step() ? (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0) : -1;
}

int
ftruncate(int fd, off_t size)
{
    return step() ? (int)syscall(SYS_ftruncate, fd, size) : -1;
}

/* A test that has failed may have left the steps counted. */
static int
drop_forked(void **state)
{
    steps = -1;
    return drop_directory(state);
}

static struct spool_identity
promoted_identity(void)
{
    struct spool_identity identity = fixture_identity();

    identity.timeline++;
    return identity;
}

static void
fork_spool(const char *directory, lsn_t fork)
{
    struct spool_identity identity = promoted_identity();
    struct error err = {0};

    assert_ok(spool_fork(directory, &identity, fork, &err), &err);
}

static struct spool *
open_promoted(const char *directory)
{
    struct spool_identity identity = promoted_identity();
    struct error err = {0};
    struct spool *s = spool_open(directory, &identity, SMALL_SEGMENTS, &err);

    assert_ok(s != NULL, &err);
    return s;
}

/* Many small segments, a transaction over several of them in the midst, progress behind each one. */
static void
write_history(const char *directory)
{
    struct spool *s = fixture_open(directory, SMALL_SEGMENTS);

    append_table(s, 1);
    for (unsigned n = 1; n <= LAST_TRANSACTION; n++) {
        append_transaction(s, n, n == LONG_TRANSACTION ? 100 : 2);
        append_progress(s, end_of(n) + 20);
        if (n % 3 == 0)
            sync_spool(s);
    }
    spool_close(s);
}

/* The directory holds the transactions up to last, ends at end, and goes on on the new timeline. */
static void
assert_forked(const char *directory, unsigned last, lsn_t end)
{
    char *kept = numbers_from(1, last), *gone_on = mem_printf("%s%s30 31", kept, last > 0 ? " " : "");
    struct spool *s = open_promoted(directory);
    struct error err = {0};

    assert_int_equal(spool_end_lsn(s), end);
    assert_transactions(read_spool(s, 0), kept);
    append_transactions(s, 30, 31, 2);
    assert_transactions(read_spool(s, 0), gone_on);
    assert_transactions(read_spool(s, end), "30 31");
    spool_close(s);
    s = open_promoted(directory);
    assert_int_equal(spool_end_lsn(s), end_of(31));
    spool_close(s);
    assert_transactions(read_directory(directory), gone_on);
    assert_null(spool_open(directory, &(struct spool_identity){0}, SMALL_SEGMENTS, &err));
    error_clear(&err);
    free(kept);
    free(gone_on);
}

static void
assert_fork_of_copy(const char *directory, lsn_t fork, unsigned last, lsn_t end)
{
    char *copy = directory_copy(directory);

    fork_spool(copy, fork);
    assert_forked(copy, last, end);
    directory_drop(copy);
}

static void
test_fork_anywhere(void **state)
{
    write_history(*state);
    assert_true(file_count(*state) > 10);
    for (unsigned n = 1; n <= LAST_TRANSACTION; n++) {
        lsn_t before = n > 1 ? end_of(n - 1) + 20 : 0;

        assert_fork_of_copy(*state, commit_of(n) - 1, n - 1, before);
        assert_fork_of_copy(*state, commit_of(n), n - 1, before);
        assert_fork_of_copy(*state, end_of(n) - 1, n - 1, before);
        assert_fork_of_copy(*state, end_of(n), n, end_of(n));
        assert_fork_of_copy(*state, end_of(n) + 19, n, end_of(n));
        assert_fork_of_copy(*state, end_of(n) + 20, n, end_of(n) + 20);
    }
    assert_fork_of_copy(*state, end_of(25), LAST_TRANSACTION, end_of(LAST_TRANSACTION) + 20);
}

/* Where nothing is beyond the fork, what is not whole goes all the same. */
static void
test_fork_with_a_torn_tail(void **state)
{
    struct spool *s = fixture_open(*state, LARGE_SEGMENTS);
    char *copy, *path;
    size_t whole, size;

    append_transactions(s, 1, 2, 2);
    sync_spool(s);
    path = segment_path(*state, 1);
    whole = file_size(path);
    append_transaction(s, 3, 2);
    flush_spool(s);
    size = file_size(path);
    copy = directory_copy(*state);
    spool_close(s);
    free(path);
    while (--size >= whole) {
        char *torn = directory_copy(copy);

        path = segment_path(torn, 1);
        file_cut(path, size);
        assert_fork_of_copy(torn, end_of(9), 2, end_of(2));
        assert_fork_of_copy(torn, end_of(1), 1, end_of(1));
        directory_drop(torn);
        free(path);
    }
    directory_drop(copy);
}

static void
test_fork_within_an_unfinished_transaction(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);

    append_transactions(s, 1, 5, 2);
    append_unfinished(s, 6);
    spool_close(s);
    assert_fork_of_copy(*state, end_of(9), 5, end_of(5));
    assert_fork_of_copy(*state, end_of(5), 5, end_of(5));
    assert_fork_of_copy(*state, end_of(3), 3, end_of(3));
}

/* Messages outside of transactions that were written behind the fork never happened either. */
static void
test_fork_before_a_message(void **state)
{
    struct spool *s = fixture_open(*state, LARGE_SEGMENTS);
    struct message m = {.kind = MESSAGE_LOGICAL};
    struct error err = {0};
    char *text;

    append_transactions(s, 1, 1, 1);
    m.logical.prefix = "note";
    m.logical.content = "x";
    m.logical.len = 1;
    m.logical.lsn = 1960;
    assert_ok(spool_append(s, &m, 1960, &err), &err);
    m.logical.lsn = 1970;
    assert_ok(spool_append(s, &m, 1970, &err), &err);
    spool_close(s);
    fork_spool(*state, 1970);
    s = open_promoted(*state);
    text = read_spool(s, 0);
    assert_non_null(strstr(text, "0/7A8 "));
    assert_null(strstr(text, "0/7B2 "));
    free(text);
    spool_close(s);
}

/* The call fails at each of its steps in turn, as a crash would end it, and is made again. */
static void
assert_survives_crashes(const char *directory, lsn_t fork, unsigned last, lsn_t end)
{
    struct spool_identity identity = promoted_identity();
    struct error err = {0};
    bool done = false;
    int count = 0;

    while (!done) {
        char *copy = directory_copy(directory);

        steps = count;
        done = spool_fork(copy, &identity, fork, &err);
        steps = -1;
        if (!done)
            assert_error_ends(&err, "\": Input/output error");
        fork_spool(copy, fork);
        assert_forked(copy, last, end);
        directory_drop(copy);
        count++;
    }
    assert_true(count > 4);
}

static void
test_fork_interrupted(void **state)
{
    write_history(*state);
    assert_survives_crashes(*state, end_of(2), 2, end_of(2));
    assert_survives_crashes(*state, end_of(LONG_TRANSACTION) - 1, LONG_TRANSACTION - 1,
                            end_of(LONG_TRANSACTION - 1) + 20);
    assert_survives_crashes(*state, end_of(19), 19, end_of(19));
}

static void
test_fork_is_made_once(void **state)
{
    struct spool *s;

    write_history(*state);
    fork_spool(*state, end_of(15));
    s = open_promoted(*state);
    append_transactions(s, 16, 18, 2);
    spool_close(s);
    fork_spool(*state, end_of(15));
    s = open_promoted(*state);
    assert_int_equal(spool_end_lsn(s), end_of(18));
    spool_close(s);
}

static void
expect_not_forked(const char *directory, const struct spool_identity *identity, const char *why)
{
    struct error err = {0};

    assert_false(spool_fork(directory, identity, end_of(3), &err));
    assert_error(&err, "spool directory \"%s\" %s", directory, why);
}

static void
test_fork_of_another_spool(void **state)
{
    struct spool_identity identity = promoted_identity(), old = fixture_identity();
    struct error err = {0};
    struct spool *s;

    write_history(*state);
    identity.job[0] = 'X';
    expect_not_forked(*state, &identity, "belongs to another job");
    identity = promoted_identity();
    identity.system_identifier++;
    expect_not_forked(*state, &identity, "belongs to another cluster");
    identity = promoted_identity();
    identity.timeline -= 2;
    expect_not_forked(*state, &identity, "belongs to another timeline");
    identity = promoted_identity();
    assert_null(spool_open(*state, &identity, SMALL_SEGMENTS, &err));
    assert_error(&err, "spool directory \"%s\" belongs to another timeline", (char *)*state);

    s = fixture_open(*state, SMALL_SEGMENTS);
    expect_not_forked(*state, &identity, "is in use by another process");
    assert_transactions(read_spool(s, end_of(18)), "19 20");
    spool_close(s);
    fork_spool(*state, end_of(3));
    assert_null(spool_open(*state, &old, SMALL_SEGMENTS, &err));
    assert_string_equal(err.detail, "It was made for job \"unit\", slot \"pgrecast_unit\", system "
                                    "7123456789012345678, timeline 4.");
    assert_error(&err, "spool directory \"%s\" belongs to another timeline", (char *)*state);
}

/* The job has applied what never happened: that is for the job to notice. */
static void
test_fork_before_all_that_is_left(void **state)
{
    struct spool *s = fixture_open(*state, SMALL_SEGMENTS);
    struct error err = {0};

    append_transactions(s, 1, 30, 2);
    trim_all(s);
    append_transactions(s, 31, 60, 2);
    spool_close(s);
    fork_spool(*state, end_of(5));
    s = open_promoted(*state);
    assert_int_equal(spool_end_lsn(s), end_of(5));
    assert_null(spool_reader_open(s, end_of(4), &err));
    assert_error(&err, "the spool in \"%s\" does not go back to 0/1356 any more", (char *)*state);
    append_transactions(s, 6, 7, 1);
    assert_transactions(read_spool(s, end_of(5)), "6 7");
    spool_close(s);
}

/* Twice, and without a spool. */
static void
test_fork_of_a_fork(void **state)
{
    struct spool_identity identity = promoted_identity();
    struct error err = {0};
    struct spool *s;
    char *path;

    assert_false(spool_exists(*state));
    fork_spool(*state, end_of(1));
    assert_int_equal(file_count(*state), 0);
    write_history(*state);
    assert_true(spool_exists(*state));
    fork_spool(*state, end_of(15));
    identity.timeline += 5;
    assert_ok(spool_fork(*state, &identity, end_of(3), &err), &err);
    s = spool_open(*state, &identity, SMALL_SEGMENTS, &err);
    assert_ok(s != NULL, &err);
    assert_transactions(read_spool(s, 0), "1 2 3");
    spool_close(s);

    path = mem_printf("%s/none", (char *)*state);
    assert_false(spool_exists(path));
    fork_spool(path, end_of(1));
    assert_false(spool_exists(path));
    free(path);
}

#define FORKING(function) cmocka_unit_test_setup_teardown(function, make_directory, drop_forked)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FORKING(test_fork_anywhere),
        FORKING(test_fork_with_a_torn_tail),
        FORKING(test_fork_within_an_unfinished_transaction),
        FORKING(test_fork_before_a_message),
        FORKING(test_fork_interrupted),
        FORKING(test_fork_is_made_once),
        FORKING(test_fork_of_another_spool),
        FORKING(test_fork_before_all_that_is_left),
        FORKING(test_fork_of_a_fork),
    };

    log_configure(LOG_TEXT, LOG_ERROR); /* torn tails are announced */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
