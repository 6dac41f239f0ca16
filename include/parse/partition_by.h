/* The short form of a partitioned target: its clause, and keys that are to contain one more column. No I/O. */
#ifndef PGRECAST_PARSE_PARTITION_BY_H
#define PGRECAST_PARSE_PARTITION_BY_H

#include <stdbool.h>

#include "core/error.h"

/*
 * "range (created_at)": the name of the column; the caller frees it. NULL and ERROR_USAGE for everything else: list, hash,
 * several columns, an expression.
 */
char *partition_by_parse(const char *text, struct error *err);

/*
 * The definition of a constraint or an index ("PRIMARY KEY (a) INCLUDE (b)", "USING btree (a) WHERE …") with one more column
 * at the end of its key. column: quoted if necessary. The caller frees the text. NULL: it has no list of columns.
 */
char *definition_with_column(const char *definition, const char *column);

#endif
