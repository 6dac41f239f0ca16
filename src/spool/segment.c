#include "segment.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "change.pb-c.h"
#include "core/mem.h"

#define MAGIC "PGRSPOOL"
#define MAGIC_SIZE 8
#define SUFFIX ".spool"
#define TEMPORARY_SUFFIX ".spool.tmp"
#define NUMBER_DIGITS 16
#define SCHEMA_VERSION PGRECAST__SCHEMA_VERSION__SCHEMA_VERSION_CURRENT

/*
 * The offsets of the fields of a header. The mark of what is synced is overwritten in place while the rest is
 * not, so it has a sector of its own.
 */
enum header_at {
    AT_MAGIC = 0,
    AT_FORMAT = 8,
    AT_SCHEMA = 12,
    AT_NUMBER = 16,
    AT_SEQUENCE = 24,
    AT_FIRST_LSN = 32,
    AT_COMMITTED = 40,
    AT_OPEN_SEGMENT = 48,
    AT_OPEN_OFFSET = 56,
    AT_SYSTEM = 64,
    AT_TIMELINE = 72,
    AT_DATABASE = 76,
    AT_JOB = 80,
    AT_ENCODING = 140,
    AT_SLOT = 144,
    AT_CHECKSUM = 208,
    AT_SYNCED = 512,
    AT_SYNCED_CHECKSUM = 520,
};

static void
put_u32(unsigned char *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof(value));
}

static void
segment_put_u64(unsigned char *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof(value));
}

static uint32_t
get_u32(const unsigned char *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static uint64_t
segment_get_u64(const unsigned char *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

char *
segment_name(uint64_t number, char out[SEGMENT_NAME_SIZE])
{
    snprintf(out, SEGMENT_NAME_SIZE, "%016" PRIx64 SUFFIX, number);
    return out;
}

static bool
name_has_form(const char *name, const char *suffix)
{
    return strspn(name, "0123456789abcdef") == NUMBER_DIGITS && strcmp(name + NUMBER_DIGITS, suffix) == 0;
}

static bool
segment_name_parse(const char *name, uint64_t *number)
{
    if (!name_has_form(name, SUFFIX))
        return false;
    *number = strtoull(name, NULL, 16);
    return *number > 0;
}

bool
segment_io_error(const char *directory, const char *name, const char *what, int error_number,
                 struct error *err)
{
    error_set(err, ERROR_FAILED, "cannot %s \"%s%s%s\": %s", what, directory, name[0] != '\0' ? "/" : "",
              name, strerror(error_number));
    if (error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG)
        error_hint(err, "Make room on the file system of the spool.");
    return false;
}

bool
segment_damage(const char *directory, uint64_t number, uint64_t offset, const char *why, struct error *err)
{
    char name[SEGMENT_NAME_SIZE];

    error_set(err, ERROR_FAILED, "spool file \"%s/%s\" is damaged at offset %" PRIu64 ": %s", directory,
              segment_name(number, name), offset, why);
    return error_hint(err, "Changes it held are lost: remove the job and run it again.");
}

static int
compare_numbers(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

static void
list_entry(int dirfd, const char *name, bool clean, uint64_t **numbers, size_t *count, char **foreign)
{
    uint64_t number;

    if (segment_name_parse(name, &number)) {
        *numbers = mem_array(*numbers, *count + 1, sizeof(**numbers));
        (*numbers)[(*count)++] = number;
    } else if (name_has_form(name, TEMPORARY_SUFFIX)) {
        if (clean)
            unlinkat(dirfd, name, 0); /* if the file stays, it is replaced or found again later */
    } else if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && *foreign == NULL) {
        *foreign = mem_strdup(name);
    }
}

bool
segment_list(int dirfd, const char *directory, bool clean, uint64_t **numbers, size_t *count, char **foreign,
             struct error *err)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* closedir() closes it */
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    int failed;

    *numbers = NULL;
    *count = 0;
    *foreign = NULL;
    if (dir == NULL) {
        segment_io_error(directory, "", "read directory", errno, err);
        if (fd >= 0)
            close(fd);
        return false;
    }
    while (errno = 0, (entry = readdir(dir)) != NULL)
        list_entry(dirfd, entry->d_name, clean, numbers, count, foreign);
    failed = errno;
    closedir(dir);
    if (*count > 0)
        qsort(*numbers, *count, sizeof(**numbers), compare_numbers);
    if (failed == 0)
        return true;
    free(*numbers);
    free(*foreign);
    *numbers = NULL;
    *foreign = NULL;
    return segment_io_error(directory, "", "read directory", failed, err);
}

static void
header_encode(const struct segment_header *header, unsigned char out[SEGMENT_HEADER_SIZE])
{
    memset(out, 0, SEGMENT_HEADER_SIZE);
    memcpy(out + AT_MAGIC, MAGIC, MAGIC_SIZE);
    put_u32(out + AT_FORMAT, SEGMENT_FORMAT_VERSION);
    put_u32(out + AT_SCHEMA, SCHEMA_VERSION);
    segment_put_u64(out + AT_NUMBER, header->number);
    segment_put_u64(out + AT_SEQUENCE, header->sequence);
    segment_put_u64(out + AT_FIRST_LSN, header->first_lsn);
    segment_put_u64(out + AT_COMMITTED, header->committed);
    segment_put_u64(out + AT_OPEN_SEGMENT, header->open.segment);
    segment_put_u64(out + AT_OPEN_OFFSET, header->open.offset);
    segment_put_u64(out + AT_SYSTEM, header->identity.system_identifier);
    put_u32(out + AT_TIMELINE, header->identity.timeline);
    put_u32(out + AT_DATABASE, header->identity.database);
    put_u32(out + AT_ENCODING, header->identity.encoding);
    memcpy(out + AT_JOB, header->identity.job, AT_ENCODING - AT_JOB);
    memcpy(out + AT_SLOT, header->identity.slot, sizeof(header->identity.slot));
    segment_put_u64(out + AT_CHECKSUM, XXH3_64bits(out, AT_CHECKSUM));
}

/* The segment's number is part of the checksum, so that a mark copied from another segment is not valid. */
static void
mark_encode(uint64_t number, uint64_t synced, unsigned char out[16])
{
    segment_put_u64(out, synced);
    segment_put_u64(out + 8, XXH3_64bits_withSeed(out, 8, number));
}

/* Returns NULL, or what is wrong. */
static const char *
header_decode(const unsigned char *in, uint64_t number, struct segment_header *header)
{
    unsigned char mark[16];

    if (memcmp(in + AT_MAGIC, MAGIC, MAGIC_SIZE) != 0)
        return "not a spool file";
    if (get_u32(in + AT_FORMAT) != SEGMENT_FORMAT_VERSION || get_u32(in + AT_SCHEMA) != SCHEMA_VERSION)
        return "written by a version of pgrecast with another format";
    if (segment_get_u64(in + AT_CHECKSUM) != XXH3_64bits(in, AT_CHECKSUM))
        return "the checksum of the header does not match";
    header->number = segment_get_u64(in + AT_NUMBER);
    header->sequence = segment_get_u64(in + AT_SEQUENCE);
    header->first_lsn = segment_get_u64(in + AT_FIRST_LSN);
    header->committed = segment_get_u64(in + AT_COMMITTED);
    header->open.segment = segment_get_u64(in + AT_OPEN_SEGMENT);
    header->open.offset = segment_get_u64(in + AT_OPEN_OFFSET);
    header->identity.system_identifier = segment_get_u64(in + AT_SYSTEM);
    header->identity.timeline = get_u32(in + AT_TIMELINE);
    header->identity.database = get_u32(in + AT_DATABASE);
    header->identity.encoding = get_u32(in + AT_ENCODING);
    memcpy(header->identity.job, in + AT_JOB, AT_ENCODING - AT_JOB);
    memset(header->identity.job + (AT_ENCODING - AT_JOB), 0,
           sizeof(header->identity.job) - (AT_ENCODING - AT_JOB));
    memcpy(header->identity.slot, in + AT_SLOT, sizeof(header->identity.slot));
    header->synced = segment_get_u64(in + AT_SYNCED);
    mark_encode(number, header->synced, mark);
    if (memcmp(mark, in + AT_SYNCED, sizeof(mark)) != 0)
        return "the checksum of the sync mark does not match";
    if (header->number != number)
        return "the header has another number than the file";
    if (header->open.segment >= number || header->identity.job[AT_ENCODING - AT_JOB - 1] != '\0' ||
        header->identity.slot[sizeof(header->identity.slot) - 1] != '\0')
        return "the header makes no sense";
    return NULL;
}

int
segment_create(int dirfd, const char *directory, const struct segment_header *header, struct error *err)
{
    unsigned char bytes[SEGMENT_HEADER_SIZE];
    char name[SEGMENT_NAME_SIZE], temporary[SEGMENT_NAME_SIZE];
    ssize_t written = 0;
    int fd;

    header_encode(header, bytes);
    mark_encode(header->number, SEGMENT_HEADER_SIZE, bytes + AT_SYNCED);
    segment_name(header->number, name);
    snprintf(temporary, sizeof(temporary), "%.*s" TEMPORARY_SUFFIX, NUMBER_DIGITS, name);
    fd = openat(dirfd, temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        segment_io_error(directory, temporary, "create", errno, err);
        return -1;
    }
    written = pwrite(fd, bytes, sizeof(bytes), 0);
    if (written != sizeof(bytes)) {
        segment_io_error(directory, temporary, "write", written < 0 ? errno : ENOSPC, err);
        goto failed;
    }
    if (fsync(fd) != 0) {
        segment_io_error(directory, temporary, "sync", errno, err);
        goto failed;
    }
    if (renameat(dirfd, temporary, dirfd, name) != 0 || fsync(dirfd) != 0) {
        segment_io_error(directory, name, "create", errno, err);
        goto failed;
    }
    return fd;
failed:
    unlinkat(dirfd, temporary, 0);
    close(fd);
    return -1;
}

int
segment_open(int dirfd, const char *directory, uint64_t number, int flags, struct segment_header *header,
             struct error *err)
{
    unsigned char bytes[SEGMENT_HEADER_SIZE];
    char name[SEGMENT_NAME_SIZE];
    int fd = openat(dirfd, segment_name(number, name), flags | O_CLOEXEC);
    const char *why;
    ssize_t len;

    if (fd < 0) {
        segment_io_error(directory, name, "open", errno, err);
        return -1;
    }
    len = pread(fd, bytes, sizeof(bytes), 0);
    if (len < 0) {
        segment_io_error(directory, name, "read", errno, err);
        goto failed;
    }
    why = len < (ssize_t)sizeof(bytes) ? "the header is not complete" : header_decode(bytes, number, header);
    if (why != NULL) {
        segment_damage(directory, number, 0, why, err);
        goto failed;
    }
    return fd;
failed:
    close(fd);
    return -1;
}

bool
segment_mark_synced(int fd, const char *directory, uint64_t number, uint64_t synced, struct error *err)
{
    unsigned char mark[16];
    char name[SEGMENT_NAME_SIZE];

    mark_encode(number, synced, mark);
    errno = EIO;
    if (pwrite(fd, mark, sizeof(mark), AT_SYNCED) != sizeof(mark))
        return segment_io_error(directory, segment_name(number, name), "write", errno, err);
    return true;
}
