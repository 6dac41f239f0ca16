/* Change records as JSON, one object a line: the same information as proto/change.proto. Internal to
 * `decode`. */
#ifndef PGRECAST_CLI_JSON_RECORD_H
#define PGRECAST_CLI_JSON_RECORD_H

#include <stdio.h>

#include "core/lsn.h"
#include "decode/message.h"

struct json_writer; /* keeps the columns of the tables that it has seen */

struct json_writer *json_writer_new(FILE *out);
void json_writer_free(struct json_writer *w); /* NULL-safe */

/*
 * Write one record as a line. Row changes name their table and columns. encoding: of the values
 * (core/encoding.h). A value that has no form in UTF-8 is written as {"hex": "…"}, its bytes. Names are in
 * UTF-8.
 */
void json_writer_write(struct json_writer *w, const struct message *m, lsn_t lsn, const char *encoding);

#endif
