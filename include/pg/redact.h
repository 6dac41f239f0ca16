/*
 * Errors of statements that move rows. The server's text for such an error may quote a value of the row
 * ("invalid input syntax for type integer: …"), and no value except that of a key may appear in a log or an
 * error text.
 */
#ifndef PGRECAST_PG_REDACT_H
#define PGRECAST_PG_REDACT_H

#include "core/error.h"

/*
 * After a statement over rows has failed: whether a row may be the cause. The SQLSTATE does not decide this,
 * because a user's function can raise any, unless its class concerns the server, the connection or the
 * transaction. Whether it really was a row is found by running the same statement with fewer rows, and with
 * none.
 */
bool error_is_of_a_row(const struct error *err);

/*
 * Reduce the server's text to what is known to contain no values. Kept are messages about constraints,
 * limits, resources and locks that the server's own code writes, without the values in their details; for a
 * key that is not unique, its columns. Everything else becomes the condition's name and the SQLSTATE. No
 * effect on an error that is not a text of the server. To be called for every failure of a statement that
 * reads or writes rows.
 */
void error_redact(struct error *err);

#endif
