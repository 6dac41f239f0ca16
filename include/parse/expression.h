/* An expression that the user gives outside of a statement. No I/O. */
#ifndef PGRECAST_PARSE_EXPRESSION_H
#define PGRECAST_PARSE_EXPRESSION_H

#include <stdbool.h>

#include "core/error.h"

/*
 * Whether the text is one expression and nothing more. ERROR_USAGE if it is not. The server decides what it
 * means.
 */
bool expression_check(const char *text, struct error *err);

#endif
