/*
 * Changes of the table in which a migration tool notes what it has done: INSERT, UPDATE and DELETE of constants, whose
 * inverse is known. A job makes them in the transaction of its swap.
 */
#ifndef PGRECAST_PARSE_HISTORY_H
#define PGRECAST_PARSE_HISTORY_H

#include "parsing.h"

/*
 * Add such a change to list->history. False (ERROR_USAGE) if it has more than constants, or its inverse cannot be told
 * from it.
 */
bool history_parse(struct parse *p, struct statement_list *list, const PgQuery__Node *tree,
                   const struct span *span);

#endif
