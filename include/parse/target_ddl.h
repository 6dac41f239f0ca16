/* The definition that a table is to get, as the DDL of a file. No I/O. */
#ifndef PGRECAST_PARSE_TARGET_DDL_H
#define PGRECAST_PARSE_TARGET_DDL_H

#include <stdbool.h>

#include "core/error.h"
#include "core/list.h"
#include "parse/statement.h"

/*
 * The statements of the file, redirected to a table of the same name in the scratch schema: one CREATE TABLE,
 * then CREATE INDEX, ALTER TABLE ADD CONSTRAINT and COMMENT. table: its schema and name, as they are. What
 * may not be in such a file is added to reasons, each a clause. False only if the text does not parse.
 */
bool target_ddl_parse(const char *sql, const char *scratch, const struct typed_name *table,
                      struct string_list *statements, struct string_list *reasons, struct error *err);

#endif
