#include "frame.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define WINDOW_SIZE ((size_t)1024 * 1024)
#define WINDOW_KEEP (WINDOW_SIZE * 2) /* the size to which a buffer of WINDOW_SIZE is rounded up */

/* The checksum is first, so that the bytes it covers are contiguous. */
enum frame_at { AT_CHECKSUM = 0, AT_SEQUENCE = 8, AT_LENGTH = 16 };

static void
head_write(unsigned char *head, uint64_t sequence, uint32_t length)
{
    sequence = htole64(sequence);
    length = htole32(length);
    memcpy(head + AT_SEQUENCE, &sequence, sizeof(sequence));
    memcpy(head + AT_LENGTH, &length, sizeof(length));
}

static void
checksum_write(unsigned char *head, uint64_t checksum)
{
    checksum = htole64(checksum);
    memcpy(head + AT_CHECKSUM, &checksum, sizeof(checksum));
}

static uint64_t
frame_get_u64(const unsigned char *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

static uint32_t
get_length(const unsigned char *frame)
{
    uint32_t value;

    memcpy(&value, frame + AT_LENGTH, sizeof(value));
    return le32toh(value);
}

static uint64_t
checksum_of(const unsigned char *frame, uint32_t length)
{
    return XXH3_64bits(frame + AT_SEQUENCE, FRAME_HEAD_SIZE - AT_SEQUENCE + (size_t)length);
}

void
frame_seal(unsigned char *frame, uint64_t sequence, uint32_t length)
{
    head_write(frame, sequence, length);
    checksum_write(frame, checksum_of(frame, length));
}

void
frame_sum_begin(XXH3_state_t *sum, uint64_t sequence, uint32_t length)
{
    unsigned char head[FRAME_HEAD_SIZE];

    head_write(head, sequence, length);
    XXH3_64bits_reset(sum);
    XXH3_64bits_update(sum, head + AT_SEQUENCE, FRAME_HEAD_SIZE - AT_SEQUENCE);
}

void
frame_sum_add(XXH3_state_t *sum, const void *data, size_t len)
{
    XXH3_64bits_update(sum, data, len);
}

void
frame_sum_end(XXH3_state_t *sum, unsigned char head[FRAME_HEAD_SIZE], uint64_t sequence, uint32_t length)
{
    head_write(head, sequence, length);
    checksum_write(head, XXH3_64bits_digest(sum));
}

size_t
frame_whole(const void *data, size_t len)
{
    const unsigned char *bytes = data;
    size_t whole = 0;

    while (len - whole >= FRAME_HEAD_SIZE) {
        size_t size = FRAME_HEAD_SIZE + (size_t)get_length(bytes + whole);

        if (size > len - whole)
            break;
        whole += size;
    }
    return whole;
}

void
frame_window_reset(struct frame_window *w)
{
    w->offset = 0;
    buffer_reset(&w->bytes);
}

void
frame_window_free(struct frame_window *w)
{
    buffer_free(&w->bytes);
    w->offset = 0;
}

/*
 * Read at least need bytes from offset, and as many more as the window holds. False: errno, 0 when the file
 * ends before.
 */
static bool
window_fill(struct frame_window *w, int fd, uint64_t offset, uint64_t limit, size_t need)
{
    size_t want = need > WINDOW_SIZE ? need : WINDOW_SIZE;

    if (want > limit - offset)
        want = (size_t)(limit - offset);
    /* A new buffer instead of a larger one: its bytes are read again, and it may become smaller. */
    if (w->bytes.cap <= want || w->bytes.cap > WINDOW_KEEP)
        buffer_free(&w->bytes);
    else
        buffer_reset(&w->bytes);
    w->offset = offset;
    buffer_reserve(&w->bytes, want);
    while (w->bytes.len < want) {
        ssize_t got =
            pread(fd, w->bytes.data + w->bytes.len, want - w->bytes.len, (off_t)(offset + w->bytes.len));

        if (got > 0) {
            w->bytes.len += (size_t)got;
        } else if (got == 0 || errno != EINTR) {
            errno = got == 0 ? 0 : errno;
            return false;
        }
    }
    return true;
}

/* Returns need bytes at offset, in the window. NULL: errno as in window_fill(). */
static const unsigned char *
window_bytes(struct frame_window *w, int fd, uint64_t offset, uint64_t limit, size_t need)
{
    bool held = offset >= w->offset && offset - w->offset <= w->bytes.len &&
                w->bytes.len - (offset - w->offset) >= need;

    if (!held && !window_fill(w, fd, offset, limit, need))
        return NULL;
    return (const unsigned char *)w->bytes.data + (offset - w->offset);
}

static enum frame_outcome
not_read(const char **why)
{
    *why = "the file ends within a record";
    return errno == 0 ? FRAME_SHORT : FRAME_IO;
}

enum frame_outcome
frame_read(struct frame_window *w, int fd, uint64_t offset, uint64_t limit, struct frame *out,
           const char **why)
{
    const unsigned char *at;
    uint32_t length;

    if (offset >= limit) {
        buffer_shrink(&w->bytes, WINDOW_KEEP); /* it may be a long time until more is read */
        return FRAME_NONE;
    }
    errno = 0;
    if (limit - offset < FRAME_HEAD_SIZE)
        return not_read(why);
    at = window_bytes(w, fd, offset, limit, FRAME_HEAD_SIZE);
    if (at == NULL)
        return not_read(why);
    length = get_length(at);
    if (length > FRAME_PAYLOAD_MAX) {
        *why = "the length of a record is impossible";
        return FRAME_BAD;
    }
    errno = 0;
    if (limit - offset - FRAME_HEAD_SIZE < length)
        return not_read(why);
    at = window_bytes(w, fd, offset, limit, FRAME_HEAD_SIZE + (size_t)length);
    if (at == NULL)
        return not_read(why);
    if (frame_get_u64(at + AT_CHECKSUM) != checksum_of(at, length)) {
        *why = "the checksum of a record does not match";
        return FRAME_BAD;
    }
    out->payload = at + FRAME_HEAD_SIZE;
    out->length = length;
    out->sequence = frame_get_u64(at + AT_SEQUENCE);
    out->next = offset + FRAME_HEAD_SIZE + length;
    return FRAME_SOUND;
}
