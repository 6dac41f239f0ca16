/* The rows of the original that the new table gets (--where). No I/O. */
#ifndef PGRECAST_ROWS_FILTER_H
#define PGRECAST_ROWS_FILTER_H

#include "core/buffer.h"
#include "plan_data/plan.h"

/*
 * Adds an item for FROM: it has one row without columns if the row pgrecast_src is kept, and none otherwise. As part
 * of the transformation it makes the copy, the apply and the verification leave out the same rows.
 */
void filter_add_item(struct buffer *sql, const struct plan *p);

#endif
