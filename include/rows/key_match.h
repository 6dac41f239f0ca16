/* A row, found by its key. No I/O. */
#ifndef PGRECAST_ROWS_KEY_MATCH_H
#define PGRECAST_ROWS_KEY_MATCH_H

#include "core/buffer.h"
#include "plan_data/plan.h"

enum plan_side { PLAN_SOURCE, PLAN_SHADOW };

/*
 * The condition that finds a row by one column of the key: "alias.column = (value::type COLLATE …)". It uses
 * the equality of the key's own index and the column's own type and collation, so that the index can be used
 * whatever type and collation the value has. value is an SQL expression.
 */
void key_match_add(struct buffer *sql, const struct plan *p, int number, enum plan_side side,
                   const char *alias, const char *value);

#endif
