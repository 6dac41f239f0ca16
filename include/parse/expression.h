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

/*
 * Forms that compare values with an operator that they do not name: "NULLIF(a, b)". How the first of them in the text is
 * written, and what it can be replaced by if the operator is to be named. False if there is none, or the text cannot
 * be read; comparisons of rows are not looked for.
 */
struct expression_form {
    const char *form;
    const char *instead;
};
bool expression_unnamed_operator(const char *text, struct expression_form *form);

#endif
