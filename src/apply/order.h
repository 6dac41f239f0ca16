/*
 * The order in which the rows of a batch are written: nearly that of the key's index, so that one row's page
 * of the index, and often of the table, is still at hand for the next. Only speed hangs on it. Internal to
 * the apply.
 */
#ifndef PGRECAST_APPLY_ORDER_H
#define PGRECAST_APPLY_ORDER_H

#include "batch.h"
#include "ddl/plan.h"

/*
 * Positions of the batch's entries, entry_count of them. The caller frees them. In order of first touch where
 * keys with different texts may be equal: the first of them is to meet the row that the shadow has.
 */
int *order_by_key(const struct batch *b, const struct plan *plan);

#endif
