/* Change records as JSON, one object a line: the same information as proto/change.proto. Internal to
 * `decode`. */
#ifndef PGRECAST_CLI_JSON_RECORD_H
#define PGRECAST_CLI_JSON_RECORD_H

#include <stdio.h>

#include "core/lsn.h"
#include "decode/message.h"

struct json_writer; /* remembers the columns of the tables it has seen */

struct json_writer *json_writer_new(FILE *out);
void json_writer_free(struct json_writer *w); /* NULL-safe */

/* Write one record as a line. Row changes name their table and columns. */
void json_writer_write(struct json_writer *w, const struct message *m, lsn_t lsn);

#endif
