/* Finds the row of a batch that cannot be written. Internal to the apply. */
#ifndef PGRECAST_APPLY_FAILING_ENTRY_H
#define PGRECAST_APPLY_FAILING_ENTRY_H

#include "flush.h"

/*
 * To be called after flush_batch() has failed because of a row's content and its transaction was rolled back.
 * Finds the row by halving the batch, and puts its key into the error, unless no row is the cause. Best
 * effort. No transaction may be open before, and none is open after.
 */
void flush_name_failing_row(struct flush *f, struct batch *b, struct error *err);

#endif
