/*
 * Errors of statements that move rows. The server's text for them may quote a value of the row ("invalid
 * input syntax for type integer: …"), and no value but a key may reach a log or an error text.
 */
#ifndef PGRECAST_PG_REDACT_H
#define PGRECAST_PG_REDACT_H

#include "core/error.h"

/* True for an error that a row's content caused, not the statement or the server: SQLSTATE classes 21, 22,
 * 23, 44 and P0 (raised by a function), and whatever else is not known to be free of values. */
bool error_is_of_a_row(const struct error *err);

/* Replace message, detail and hint by what is safe to show: the condition's name, the column or constraint
 * the server names, and for a unique violation the key. No effect on errors that are not of a row. */
void error_redact(struct error *err);

#endif
