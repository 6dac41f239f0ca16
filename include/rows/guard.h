/*
 * The error for a row with a value that a column of the original cannot hold. An expression cannot raise an
 * error of its own. So it fails as a cast of a text to boolean fails, and the text says which column it is.
 * No I/O.
 */
#ifndef PGRECAST_ROWS_GUARD_H
#define PGRECAST_ROWS_GUARD_H

#include "core/buffer.h"
#include "core/error.h"
#include "plan_data/plan.h"

/*
 * An expression of type boolean that fails, for the column of the original at this position. value is an
 * expression over the row: without one the server would evaluate the cast once, while planning, for no row.
 */
void guard_add(struct buffer *sql, int column, const char *value);

/*
 * The guard's message, from an error that is not yet redacted, with the plan whose .target is the original:
 * "a value of column a does not fit integer", to be freed by the caller. NULL for any other error.
 */
char *guard_reason(const struct plan *back, const struct error *err);

#endif
