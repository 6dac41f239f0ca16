#include "wire.h"

#include <string.h>

void
wire_add_number(struct buffer *b, uint64_t value, int bytes)
{
    while (bytes-- > 0)
        buffer_add_char(b, (char)(value >> bytes * 8));
}

uint64_t
wire_number(const char *at, int bytes)
{
    uint64_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | (unsigned char)*at++;
    return value;
}

void
wire_add_text(struct buffer *b, const char *text)
{
    buffer_add(b, text, strlen(text) + 1);
}

void
wire_add_message(struct buffer *out, char kind, const struct buffer *body)
{
    buffer_add_char(out, kind);
    wire_add_number(out, body->len + 4, 4);
    if (body->len > 0)
        buffer_add(out, body->data, body->len);
}

void
wire_add_number_message(struct buffer *out, char kind, uint64_t value, int bytes)
{
    struct buffer body = {0};

    wire_add_number(&body, value, bytes);
    wire_add_message(out, kind, &body);
    buffer_free(&body);
}

void
wire_add_text_message(struct buffer *out, char kind, const char *text)
{
    struct buffer body = {0};

    wire_add_text(&body, text);
    wire_add_message(out, kind, &body);
    buffer_free(&body);
}

void
wire_add_parameter_status(struct buffer *out, const char *name, const char *value)
{
    struct buffer body = {0};

    wire_add_text(&body, name);
    wire_add_text(&body, value);
    wire_add_message(out, 'S', &body);
    buffer_free(&body);
}
