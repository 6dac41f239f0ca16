#include "core/buffer.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

char *
buffer_reserve(struct buffer *buf, size_t len)
{
    size_t need = buf->len + len + 1;

    if (need > buf->cap) {
        size_t cap = buf->cap > 0 ? buf->cap : 64;

        while (cap < need)
            cap *= 2;
        buf->data = mem_realloc(buf->data, cap);
        buf->cap = cap;
    }
    return buf->data + buf->len;
}

void
buffer_add(struct buffer *buf, const void *data, size_t len)
{
    char *at = buffer_reserve(buf, len);

    if (len > 0)
        memcpy(at, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void
buffer_add_char(struct buffer *buf, char c)
{
    buffer_add(buf, &c, 1);
}

void
buffer_add_text(struct buffer *buf, const char *text)
{
    buffer_add(buf, text, strlen(text));
}

void
buffer_printf(struct buffer *buf, const char *fmt, ...)
{
    size_t room = 128; /* enough for most texts; otherwise a second pass with the size that is needed */
    va_list args;
    int len;

    for (;;) {
        va_start(args, fmt);
        len = vsnprintf(buffer_reserve(buf, room), room + 1, fmt, args);
        va_end(args);
        if (len < 0 || (size_t)len <= room)
            break;
        room = (size_t)len;
    }
    if (len > 0)
        buf->len += (size_t)len;
    buf->data[buf->len] = '\0';
}

void
buffer_reset(struct buffer *buf)
{
    buf->len = 0;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

void
buffer_shrink(struct buffer *buf, size_t keep_at_most)
{
    if (buf->cap > keep_at_most)
        buffer_free(buf);
    else
        buffer_reset(buf);
}

char *
buffer_take(struct buffer *buf)
{
    char *data;

    buffer_add(buf, "", 0);
    data = buf->data;
    memset(buf, 0, sizeof(*buf));
    return data;
}

void
buffer_free(struct buffer *buf)
{
    free(buf->data);
    memset(buf, 0, sizeof(*buf));
}

static void
add_doubling(struct buffer *buf, const char *text, char quote)
{
    for (; *text != '\0'; text++) {
        if (*text == quote)
            buffer_add_char(buf, quote);
        buffer_add_char(buf, *text);
    }
}

void
buffer_add_identifier(struct buffer *buf, const char *name)
{
    buffer_add_char(buf, '"');
    add_doubling(buf, name, '"');
    buffer_add_char(buf, '"');
}

void
buffer_add_literal(struct buffer *buf, const char *value)
{
    bool escape = strchr(value, '\\') != NULL;

    if (escape)
        buffer_add_text(buf, " E");
    buffer_add_char(buf, '\'');
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            buffer_add_char(buf, *value);
        buffer_add_char(buf, *value);
    }
    buffer_add_char(buf, '\'');
}
