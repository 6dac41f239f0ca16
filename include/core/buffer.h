/*
 * A growable byte buffer, always terminated by a NUL that is not counted, so that .data is a C string where
 * the content is text. Zero-initialise; release with buffer_free().
 */
#ifndef PGRECAST_CORE_BUFFER_H
#define PGRECAST_CORE_BUFFER_H

#include <stddef.h>

struct buffer {
    char *data; /* NULL until something was written */
    size_t len; /* bytes used, without the NUL */
    size_t cap;
};

void buffer_add(struct buffer *buf, const void *data, size_t len);
void buffer_add_char(struct buffer *buf, char c);
void buffer_add_text(struct buffer *buf, const char *text);
void buffer_printf(struct buffer *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Make room for len more bytes and return where to write them; the caller adds to .len what it wrote. */
char *buffer_reserve(struct buffer *buf, size_t len);

/* Empty the buffer but keep the memory (or release it if it is more than keep_at_most bytes). */
void buffer_reset(struct buffer *buf);
void buffer_shrink(struct buffer *buf, size_t keep_at_most);

/* Hand the content over as a C string that the caller frees; never NULL. The buffer is empty afterwards. */
char *buffer_take(struct buffer *buf);
void buffer_free(struct buffer *buf);

/*
 * SQL quoting, for text in UTF-8 (every session pins client_encoding): the same rules as PQescapeIdentifier()
 * and PQescapeLiteral(), which need a connection. An identifier is always put in double quotes.
 */
void buffer_add_identifier(struct buffer *buf, const char *name);
void buffer_add_literal(struct buffer *buf, const char *value);

#endif
