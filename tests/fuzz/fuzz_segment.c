/*
 * Any bytes as a segment of a spool: read, opened for writing, and usable afterwards, or refused.
 *
 * Odd first byte: the file as it is. Even: what follows the first byte are records, each behind its length in
 * two bytes; they are put into sound frames behind a sound header, for checksums stop a fuzzer.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/spool/frame.h"
#include "core/log.h"
#include "core/mem.h"
#include "describe.h"
#include "spool/spool.h"

#define HEADER_SIZE 1024
#define NAME "0000000000000001.spool"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In place of libc's: the disk is no part of this. */
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

static struct spool *
open_spool(const char *directory, struct error *err)
{
    struct spool_identity identity = {.system_identifier = 1, .timeline = 1, .job = "fuzz", .slot = "fuzz"};

    return spool_open(directory, &identity, 65536, err);
}

static void
add_frames(struct buffer *file, const uint8_t *data, size_t size)
{
    for (uint64_t sequence = 1; size >= 2; sequence++) {
        size_t len = (size_t)data[0] | (size_t)data[1] << 8;

        data += 2;
        size -= 2;
        if (len > size)
            len = size;
        buffer_reserve(file, FRAME_HEAD_SIZE + len);
        memcpy(file->data + file->len + FRAME_HEAD_SIZE, data, len);
        frame_seal((unsigned char *)file->data + file->len, sequence, (uint32_t)len);
        file->len += FRAME_HEAD_SIZE + len;
        data += len;
        size -= len;
    }
}

/* The header of a new spool, made by the spool itself. */
static void
add_header(struct buffer *file, const char *directory, const char *path)
{
    struct error err = {0};
    struct spool *s = open_spool(directory, &err);
    int fd;

    if (s == NULL)
        abort();
    spool_close(s);
    fd = open(path, O_RDONLY);
    if (read(fd, buffer_reserve(file, HEADER_SIZE), HEADER_SIZE) != HEADER_SIZE)
        abort();
    file->len += HEADER_SIZE;
    close(fd);
}

static void
read_all(struct spool_reader *r)
{
    enum spool_outcome outcome = SPOOL_EMPTY;
    struct spool_record record;
    struct error err = {0};

    while (r != NULL && (outcome = spool_read(r, &record, &err)) == SPOOL_RECORD) {
        struct buffer text = {0};

        message_describe(&record.message, &text);
        buffer_free(&text);
    }
    if (outcome == SPOOL_ERROR && err.message == NULL)
        abort();
    error_clear(&err);
    spool_reader_close(r);
}

static void
use_spool(const char *directory)
{
    struct error err = {0};
    struct spool *s = open_spool(directory, &err);
    struct message m = {.kind = MESSAGE_BEGIN};

    if (s != NULL) {
        m.begin.final_lsn = UINT64_MAX;
        if (!spool_append(s, &m, 1, &err) || !spool_sync(s, &err))
            abort();
        read_all(spool_reader_open(s, 0, &err));
        spool_close(s);
    }
    error_clear(&err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char directory[] = "/tmp/pgrecast-fuzz-XXXXXX";
    struct buffer file = {0};
    struct error err = {0};
    char *path;
    int fd;

    if (size == 0 || mkdtemp(directory) == NULL)
        return 0;
    log_configure(LOG_TEXT, LOG_ERROR);
    path = mem_printf("%s/" NAME, directory);
    if (data[0] % 2 == 0) {
        add_header(&file, directory, path);
        add_frames(&file, data + 1, size - 1);
    } else {
        buffer_add(&file, data + 1, size - 1);
    }
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, file.data, file.len) != (ssize_t)file.len)
        abort();
    close(fd);
    read_all(spool_reader_open_directory(directory, &err));
    error_clear(&err);
    use_spool(directory);
    error_clear(&err);
    if (!spool_remove(directory, &err))
        abort();
    buffer_free(&file);
    free(path);
    return 0;
}
