/* Functions of the user's expressions that find names by the search_path. Internal to the rows. */
#ifndef PGRECAST_ROWS_VIEW_FUNCTIONS_H
#define PGRECAST_ROWS_VIEW_FUNCTIONS_H

#include "catalog/expressions.h"
#include "rows/view.h"

/*
 * uses: of the expression; what: as in view_read(). The functions are named in v->notes. ERROR_REFUSED where the body
 * of one cannot be read with an empty search_path: the transaction is then aborted. No function is run.
 */
bool view_check_functions(const struct view_place *v, const struct uses *uses, const char *what,
                          struct error *err);

#endif
