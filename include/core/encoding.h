/*
 * Texts in the encoding of a database. The program's own texts are UTF-8, and so is all SQL; the server
 * converts between UTF-8 and the encoding of the database. Values of rows and keys stay in the encoding of
 * the database, because some have no form in UTF-8. This module is for showing them. An encoding is named as
 * the server names it; NULL is UTF-8.
 *
 * No I/O. Thread-safe.
 */
#ifndef PGRECAST_CORE_ENCODING_H
#define PGRECAST_CORE_ENCODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"

/*
 * The text in UTF-8, added to out. False if something in it has no form in UTF-8, or if this system cannot
 * convert the encoding: then nothing is added. SQL_ASCII is treated as UTF-8.
 */
bool encoding_to_utf8(const char *encoding, const char *text, size_t len, struct buffer *out);

/* The same for people: what has no form in UTF-8 is written as \xNN for each byte. The caller frees it. */
char *encoding_shown(const char *encoding, const char *text, size_t len);

bool encoding_is_ascii(const char *text, size_t len);

/* A number for each encoding of a server, for files. 0 is UTF-8, or one that is not known. */
uint32_t encoding_number(const char *encoding);
const char *encoding_numbered(uint32_t number); /* NULL: UTF-8 or not known */

/* The bytes that the hexadecimal digits stand for, followed by a NUL; NULL for NULL. The caller frees it. */
char *encoding_unhex(const char *digits);
void encoding_add_hex(struct buffer *out, const char *bytes, size_t len);

#endif
