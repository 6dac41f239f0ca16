/*
 * The statements of the swap: catalog changes only, no table is read. The source is locked already. They
 * leave the source under the old name with its indexes, statistics and sequences out of the way, and the
 * shadow in its place.
 */
#ifndef PGRECAST_DDL_SWAP_H
#define PGRECAST_DDL_SWAP_H

#include "ddl/clone.h"
#include "ddl/names.h"
#include "ddl/plan.h"

struct shadow_names {
    struct name_map relations; /* indexes and sequences: final name to the shadow's */
    struct name_map statistics;
    char *temporary_key; /* or NULL */
};

void swap_plan(struct plan *p, const struct clone_result *clone, const struct shadow_names *n,
               struct string_list *relations, struct string_list *statistics);

#endif
