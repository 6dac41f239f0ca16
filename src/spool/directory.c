#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"
#include "segment.h"

/*
 * Sync the parent: if a crash removed the new directory, the spool would look empty, and what was confirmed
 * would be lost.
 */
static bool
sync_parent(const char *path, struct error *err)
{
    char *parent = mem_printf("%s/..", path);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;

    if (!ok)
        segment_io_error(parent, "", "sync directory", errno, err);
    if (fd >= 0)
        close(fd);
    free(parent);
    return ok;
}

static bool
make_one(const char *path, struct error *err)
{
    if (mkdir(path, 0700) == 0)
        return sync_parent(path, err);
    return errno == EEXIST || segment_io_error(path, "", "create directory", errno, err);
}

bool
directory_make(const char *directory, struct error *err)
{
    char *path = mem_strdup(directory);
    bool ok = true;

    for (char *slash = path; ok && slash != NULL;) {
        slash = strchr(slash + 1, '/');
        if (slash != NULL)
            *slash = '\0';
        ok = make_one(path, err);
        if (slash != NULL)
            *slash = '/';
    }
    free(path);
    return ok;
}

static bool
refuse_place(const char *directory, const char *why, struct error *err)
{
    error_set(err, ERROR_REFUSED, "the spool cannot be in \"%s\": %s", directory, why);
    error_detail(err, "A spool has rows of tables, and what it has is written to the tables.");
    return error_hint(err, "Name a directory of your own with --spool-dir.");
}

static bool
is_ours(const struct stat *st)
{
    return st->st_uid == geteuid() || st->st_uid == 0;
}

/* The directory itself, or one above it. A sticky directory is like /tmp: only the owner of a file replaces it. */
static bool
is_replaceable(const char *directory)
{
    char *path = mem_strdup(directory), *slash;
    struct stat st;
    bool found;

    do {
        found = stat(path, &st) == 0 && (st.st_mode & S_IWOTH) != 0 && (st.st_mode & S_ISVTX) == 0;
        slash = strrchr(path, '/');
        if (slash != NULL)
            *slash = '\0';
    } while (!found && slash != NULL);
    free(path);
    return found;
}

bool
spool_check_place(const char *directory, struct error *err)
{
    struct stat st;

    if (is_replaceable(directory))
        return refuse_place(directory, "every user can replace what is in it", err);
    if (lstat(directory, &st) != 0)
        return true; /* it will be created, or the error is met then */
    if (S_ISLNK(st.st_mode) && !is_ours(&st))
        return refuse_place(directory, "it is a symbolic link of another user", err);
    if (stat(directory, &st) == 0 && !is_ours(&st))
        return refuse_place(directory, "it belongs to another user", err);
    return true;
}

bool
spool_check_own(const char *directory, struct error *err)
{
    struct stat st;

    if (lstat(directory, &st) != 0)
        return true;
    if (!S_ISDIR(st.st_mode))
        return refuse_place(directory, "it is there already, and is no directory", err);
    if (st.st_uid != geteuid())
        return refuse_place(directory, "it is there already, and belongs to another user", err);
    return true;
}

int
directory_open_locked(const char *directory, struct error *err)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0) {
        segment_io_error(directory, "", "open directory", errno, err);
        return -1;
    }
    /*
     * Where the file system cannot lock a directory (NFS), only the job's own lock in the database protects
     * it.
     */
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        error_set(err, ERROR_FAILED, "spool directory \"%s\" is in use by another process", directory);
        close(fd);
        return -1;
    }
    return fd;
}

bool
spool_exists(const char *directory)
{
    int dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct error ignored = {0};
    uint64_t *numbers = NULL;
    char *foreign = NULL;
    size_t count = 0;

    if (dirfd < 0)
        return false;
    segment_list(dirfd, directory, false, &numbers, &count, &foreign, &ignored);
    error_clear(&ignored);
    free(numbers);
    free(foreign);
    close(dirfd);
    return count > 0;
}

bool
spool_read_identity(const char *directory, struct spool_identity *out, lsn_t *reached, bool *any,
                    struct error *err)
{
    struct segment_header header = {0};
    uint64_t *numbers = NULL;
    char *foreign = NULL;
    size_t count = 0;
    int dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), fd = -1;
    bool ok = dirfd >= 0 || segment_io_error(directory, "", "open directory", errno, err);

    ok = ok && segment_list(dirfd, directory, false, &numbers, &count, &foreign, err);
    *any = ok && count > 0;
    if (*any) {
        fd = segment_open(dirfd, directory, numbers[count - 1], O_RDONLY, &header, err);
        ok = fd >= 0;
    }
    if (ok && *any) {
        *out = header.identity;
        *reached = header.committed > header.first_lsn ? header.committed : header.first_lsn;
    }
    if (fd >= 0)
        close(fd);
    if (dirfd >= 0)
        close(dirfd);
    free(numbers);
    free(foreign);
    return ok;
}

bool
spool_in_use(const char *directory)
{
    int dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool locked = dirfd >= 0 && flock(dirfd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;

    if (dirfd >= 0)
        close(dirfd);
    return locked;
}

static bool
remove_segments(int dirfd, const char *directory, struct error *err)
{
    char name[SEGMENT_NAME_SIZE];
    uint64_t *numbers = NULL;
    size_t count = 0;
    char *foreign = NULL;
    bool ok = false;

    if (!segment_list(dirfd, directory, false, &numbers, &count, &foreign, err))
        goto out;
    if (foreign != NULL) {
        error_set(err, ERROR_FAILED, "spool directory \"%s\" holds \"%s\", which is not the spool's",
                  directory, foreign);
        error_hint(err, "Move it away, or remove the directory by hand.");
        goto out;
    }
    for (size_t i = 0; i < count; i++) {
        if (unlinkat(dirfd, segment_name(numbers[i], name), 0) != 0 && errno != ENOENT) {
            segment_io_error(directory, name, "remove", errno, err);
            goto out;
        }
    }
    free(numbers);
    ok = segment_list(dirfd, directory, true, &numbers, &count, &foreign, err);
out:
    free(numbers);
    free(foreign);
    return ok;
}

bool
spool_remove(const char *directory, struct error *err)
{
    int dirfd;
    bool ok;

    if (access(directory, F_OK) != 0 && errno == ENOENT)
        return true;
    dirfd = directory_open_locked(directory, err);
    if (dirfd < 0)
        return false;
    ok = remove_segments(dirfd, directory, err);
    if (ok && rmdir(directory) != 0)
        ok = segment_io_error(directory, "", "remove directory", errno, err);
    close(dirfd);
    return ok;
}
