/*
 * A bounded reader over bytes from outside, with a sticky error: after the first read past the end every read
 * returns zero and cursor_failed() says so. Integers are in network order, as in PostgreSQL's protocol.
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

struct cursor cursor_over(const void *data, size_t len);
uint8_t cursor_u8(struct cursor *cur);
uint16_t cursor_u16(struct cursor *cur);
uint32_t cursor_u32(struct cursor *cur);
uint64_t cursor_u64(struct cursor *cur);

/* len bytes in place, NULL when there are fewer. */
const void *cursor_bytes(struct cursor *cur, size_t len);

/* A C string in place (NULL when no terminator is left). */
const char *cursor_string(struct cursor *cur);

size_t cursor_left(const struct cursor *cur);
bool cursor_failed(const struct cursor *cur);

/* True when everything was read and nothing failed: the end of a message is asserted, not assumed. */
bool cursor_done(const struct cursor *cur);

#endif
