/*
 * The statements of the first swap: catalog changes only, no table is read. The source is locked already.
 * They leave the source under the old name with its indexes, statistics and sequences out of the way, and the
 * shadow in its place.
 */
#ifndef PGRECAST_DDL_SWAP_H
#define PGRECAST_DDL_SWAP_H

#include "ddl/clone.h"
#include "ddl/exchange.h"
#include "ddl/plan.h"

/* temporary_key: an index that only the apply needed, or NULL. Sequences that the user set are marked in the
 * exchange. */
void swap_plan(struct plan *p, const struct clone_result *clone, const char *temporary_key,
               struct exchange *x);

#endif
