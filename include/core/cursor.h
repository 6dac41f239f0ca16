/*
 * A bounded reader over bytes from outside, with a sticky error: after the first read past the end every read
 * returns zero and cursor_failed() says so. Integers are in network order, as in PostgreSQL's protocol.
 *
 * Inline, because every field of every row goes through it.
 */
#ifndef PGRECAST_CORE_CURSOR_H
#define PGRECAST_CORE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
    const unsigned char *next;
    const unsigned char *end;
    bool failed;
};

static inline struct cursor
cursor_over(const void *data, size_t len)
{
    return (struct cursor){.next = data, .end = (const unsigned char *)data + len, .failed = false};
}

/* len bytes in place, NULL if there are fewer. */
static inline const void *
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

static inline uint8_t
cursor_u8(struct cursor *cur)
{
    const unsigned char *at = cursor_bytes(cur, 1);

    return at == NULL ? 0 : at[0];
}

static inline uint16_t
cursor_u16(struct cursor *cur)
{
    const unsigned char *at = cursor_bytes(cur, 2);

    return at == NULL ? 0 : (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t
cursor_u32(struct cursor *cur)
{
    const unsigned char *at = cursor_bytes(cur, 4);

    return at == NULL ? 0 : (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint64_t
cursor_u64(struct cursor *cur)
{
    const unsigned char *at = cursor_bytes(cur, 8);
    uint64_t value = 0;

    for (int i = 0; at != NULL && i < 8; i++)
        value = value << 8 | at[i];
    return value;
}

/* A C string in place (NULL if there is no terminator). */
const char *cursor_string(struct cursor *cur);

static inline size_t
cursor_left(const struct cursor *cur)
{
    return cur->failed ? 0 : (size_t)(cur->end - cur->next);
}

static inline bool
cursor_failed(const struct cursor *cur)
{
    return cur->failed;
}

/* True if everything was read and nothing failed: the end of a message is checked, not assumed. */
static inline bool
cursor_done(const struct cursor *cur)
{
    return !cur->failed && cur->next == cur->end;
}

#endif
