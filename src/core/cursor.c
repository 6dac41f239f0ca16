#include "core/cursor.h"

#include <string.h>

struct cursor
cursor_over(const void *data, size_t len)
{
    struct cursor cur = {.next = data, .end = (const unsigned char *)data + len, .failed = false};

    return cur;
}

const void *
cursor_bytes(struct cursor *cur, size_t len)
{
    const unsigned char *at = cur->next;

    if (cur->failed || len > (size_t)(cur->end - cur->next)) {
        cur->failed = true;
        return NULL;
    }
    cur->next += len;
    return at;
}

static uint64_t
read_integer(struct cursor *cur, size_t size)
{
    const unsigned char *at = cursor_bytes(cur, size);
    uint64_t value = 0;

    if (at != NULL) {
        for (size_t i = 0; i < size; i++)
            value = value << 8 | at[i];
    }
    return value;
}

uint8_t
cursor_u8(struct cursor *cur)
{
    return (uint8_t)read_integer(cur, 1);
}

uint16_t
cursor_u16(struct cursor *cur)
{
    return (uint16_t)read_integer(cur, 2);
}

uint32_t
cursor_u32(struct cursor *cur)
{
    return (uint32_t)read_integer(cur, 4);
}

uint64_t
cursor_u64(struct cursor *cur)
{
    return read_integer(cur, 8);
}

const char *
cursor_string(struct cursor *cur)
{
    const char *at = (const char *)cur->next;
    const char *end = cur->failed ? NULL : memchr(at, '\0', cursor_left(cur));

    if (end == NULL) {
        cur->failed = true;
        return NULL;
    }
    cur->next += end - at + 1;
    return at;
}

size_t
cursor_left(const struct cursor *cur)
{
    return cur->failed ? 0 : (size_t)(cur->end - cur->next);
}

bool
cursor_failed(const struct cursor *cur)
{
    return cur->failed;
}

bool
cursor_done(const struct cursor *cur)
{
    return !cur->failed && cur->next == cur->end;
}
