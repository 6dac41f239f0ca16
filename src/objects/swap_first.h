/*
 * The statements of the first swap: they change catalogs only, and read no table. The source is locked
 * already. They give the source the old name, rename its indexes, statistics and sequences, and give the
 * shadow its place.
 */
#ifndef PGRECAST_OBJECTS_SWAP_FIRST_H
#define PGRECAST_OBJECTS_SWAP_FIRST_H

#include "objects/restart.h"
#include "objects/swap_names.h"
#include "plan_data/plan.h"

/*
 * temporary_key: an index that only the apply needed, or NULL. Sequences that the user set are marked in the
 * names.
 */
void swap_first_plan(struct plan *p, const struct restart_list *restarts, const char *temporary_key,
                     struct swap_names *x);

#endif
