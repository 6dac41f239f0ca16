/*
 * The order in which the rows of a batch are written. It is nearly that of the key's index, so that the index
 * page of a row, and often its table page, is still in memory for the next row. The order affects only the
 * speed. Internal to the apply.
 */
#ifndef PGRECAST_APPLY_ORDER_H
#define PGRECAST_APPLY_ORDER_H

#include "batch.h"
#include "plan_data/plan.h"

/*
 * Indexes of the batch's entries, entry_count of them, in that order. The caller frees them. Where keys with
 * different texts may be equal, the order is that of first touch, because the first of them must meet the row
 * that the shadow has.
 */
int *order_by_key(const struct batch *b, const struct plan *plan);

#endif
