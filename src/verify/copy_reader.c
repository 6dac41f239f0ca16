#include "verify/copy_reader.h"

#include <string.h>

#include "core/count.h"
#include "core/cursor.h"

#define EXTENSION_MOST (64 * 1024)
#define FIELDS_MOST 1664            /* MaxTupleAttributeNumber of the server */
#define FIELD_BYTES_MOST 0x3fffffff /* MaxAllocSize of the server */
#define NULL_LENGTH UINT32_MAX
#define KEEP_PENDING (1024 * 1024)

static const char signature[] = "PGCOPY\n\377\r\n"; /* its NUL is part of it */

/* The result of one step on the bytes received so far. */
enum step { STEP_DONE, STEP_MORE, STEP_FAILED };

void
copy_reader_init(struct copy_reader *r, copy_tuple tuple, void *arg)
{
    memset(r, 0, sizeof(*r));
    r->tuple = tuple;
    r->arg = arg;
    r->fields_left = -1;
}

void
copy_reader_free(struct copy_reader *r)
{
    buffer_free(&r->pending);
}

static enum step
failed(struct error *err, const char *what)
{
    error_set(err, ERROR_FAILED, "the server sent no valid binary COPY: %s", what);
    return STEP_FAILED;
}

static enum step
read_header(struct copy_reader *r, struct cursor *cur, struct error *err)
{
    struct cursor at = *cur;
    const void *magic = cursor_bytes(&at, sizeof(signature));
    uint32_t flags = cursor_u32(&at);
    uint32_t extension = cursor_u32(&at);

    if (magic != NULL && memcmp(magic, signature, sizeof(signature)) != 0)
        return failed(err, "wrong signature");
    if (cursor_failed(&at))
        return STEP_MORE;
    if ((flags & 0xffff0000) != 0)
        return failed(err, "unknown critical flags");
    if (extension > EXTENSION_MOST)
        return failed(err, "header extension too long");
    cursor_bytes(&at, extension);
    if (cursor_failed(&at))
        return STEP_MORE;
    r->state = COPY_TUPLES;
    *cur = at;
    return STEP_DONE;
}

/* Read the field count of a tuple, or the trailer. */
static enum step
read_count(struct copy_reader *r, struct cursor *at, struct error *err)
{
    int count = (int16_t)cursor_u16(at);

    if (cursor_failed(at))
        return STEP_MORE;
    if (count == -1) {
        r->state = COPY_ENDED;
        return STEP_DONE;
    }
    if (count < 0 || count > FIELDS_MOST)
        return failed(err, "impossible number of fields");
    r->fields_left = count;
    r->scanned = sizeof(uint16_t);
    return STEP_DONE;
}

/*
 * Pass over the fields of the current tuple. Fields that were passed are not read again when more bytes come.
 */
static enum step
read_fields(struct copy_reader *r, struct cursor *at, struct error *err)
{
    while (r->fields_left > 0) {
        uint32_t len = cursor_u32(at);

        if (cursor_failed(at))
            return STEP_MORE;
        if (len != NULL_LENGTH) {
            if (len > FIELD_BYTES_MOST)
                return failed(err, "impossible length of a field");
            if (cursor_bytes(at, len) == NULL)
                return STEP_MORE;
            r->scanned += len;
        }
        r->scanned += sizeof(uint32_t);
        r->fields_left--;
    }
    return STEP_DONE;
}

/* Read one tuple and pass it on, or read the trailer. */
static enum step
copy_reader_read_tuple(struct copy_reader *r, struct cursor *cur, struct error *err)
{
    struct cursor at = *cur;
    enum step step;

    if (r->fields_left < 0) {
        step = read_count(r, &at, err);
        if (step != STEP_DONE || r->state == COPY_ENDED) {
            *cur = step == STEP_DONE ? at : *cur;
            return step;
        }
    } else {
        cursor_bytes(&at, r->scanned);
    }
    step = read_fields(r, &at, err);
    if (step != STEP_DONE)
        return step;
    if (!r->tuple(r->arg, cur->next, r->scanned, err))
        return STEP_FAILED;
    r->tuples++;
    r->fields_left = -1;
    r->scanned = 0;
    *cur = at;
    return STEP_DONE;
}

/* Read everything that is complete; the cursor stays before the rest. */
static enum step
read_all(struct copy_reader *r, struct cursor *cur, struct error *err)
{
    enum step step = STEP_DONE;

    while (step == STEP_DONE && cursor_left(cur) > 0) {
        if (r->state == COPY_HEADER)
            step = read_header(r, cur, err);
        else if (r->state == COPY_TUPLES)
            step = copy_reader_read_tuple(r, cur, err);
        else
            step = failed(err, "bytes after the trailer");
    }
    return step;
}

bool
copy_reader_feed(void *arg, const char *data, size_t len, struct error *err)
{
    struct copy_reader *r = arg;
    bool waiting = r->pending.len > 0;
    struct cursor cur;
    size_t left;

    if (waiting)
        buffer_add(&r->pending, data, len);
    cur = waiting ? cursor_over(r->pending.data, r->pending.len) : cursor_over(data, len);
    if (read_all(r, &cur, err) == STEP_FAILED)
        return false;

    left = cursor_left(&cur);
    if (!waiting) {
        if (left > 0)
            buffer_add(&r->pending, cur.next, left);
    } else if (left == 0) {
        buffer_shrink(&r->pending, KEEP_PENDING);
    } else if (left < r->pending.len) {
        memmove(r->pending.data, cur.next, left);
        r->pending.len = left;
    }
    return true;
}

bool
copy_reader_end(const struct copy_reader *r, struct error *err)
{
    if (r->state != COPY_ENDED || r->pending.len > 0)
        return error_set(err, ERROR_FAILED,
                         "the server's binary COPY ended before its trailer, after %lld %s",
                         (long long)r->tuples, count_word((int64_t)r->tuples, "row", "rows"));
    return true;
}
