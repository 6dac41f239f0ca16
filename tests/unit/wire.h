/*
 * Messages of the frontend/backend protocol, version 3, as bytes (chapter "Message Formats" of the PostgreSQL
 * manual): for tests that play the server.
 */
#ifndef PGRECAST_TESTS_UNIT_WIRE_H
#define PGRECAST_TESTS_UNIT_WIRE_H

#include <stdint.h>

#include "core/buffer.h"

/* Big-endian numbers of 1 to 8 bytes. */
void wire_add_number(struct buffer *b, uint64_t value, int bytes);
uint64_t wire_number(const char *at, int bytes);

/* A text with its NUL. */
void wire_add_text(struct buffer *b, const char *text);

/* A message: kind, length, body. */
void wire_add_message(struct buffer *out, char kind, const struct buffer *body);

/* The same for a body of one number, or of one text. */
void wire_add_number_message(struct buffer *out, char kind, uint64_t value, int bytes);
void wire_add_text_message(struct buffer *out, char kind, const char *text);

void wire_add_parameter_status(struct buffer *out, const char *name, const char *value);

#endif
