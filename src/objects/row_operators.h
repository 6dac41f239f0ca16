/*
 * A comparison of rows has an operator for each pair of columns, and the server prints the first one for all:
 * "ROW(mail, id) OPERATOR(public.>) ROW(…)" does not fit the other columns, and cannot be read again. Written
 * as "ROW(mail, id) > ROW(…)" it can be read, with the search_path that uses_path() gives. The same holds for
 * "(a, b) = ANY (SELECT …)".
 */
#ifndef PGRECAST_OBJECTS_ROW_OPERATORS_H
#define PGRECAST_OBJECTS_ROW_OPERATORS_H

#include "core/error.h"

/*
 * Make the operators of such comparisons in *sql unqualified; *sql belongs to the caller. False, with err
 * set, for text that cannot be read.
 */
bool row_operators_bare(char **sql, struct error *err);

#endif
