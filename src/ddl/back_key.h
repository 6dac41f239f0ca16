/* By which columns a row of the new table is found in the original, once the new table serves. No I/O. */
#ifndef PGRECAST_DDL_BACK_KEY_H
#define PGRECAST_DDL_BACK_KEY_H

#include "ddl/inverse.h"
#include "ddl/plan.h"
#include "ddl/transform.h"

struct back_key_column {
    int original;                           /* position in forward->source->columns */
    int made;                               /* position in forward->target->columns */
    const struct index_key *original_index; /* how the original's index compares it; NULL: not in that */
    const struct index_key *made_index;
};

struct back_key {
    int count;
    struct back_key_column *items;
    const struct index *original; /* finds a row of the original by some of the columns, or all */
};

/* From the new table's replica identity; what stands against it becomes a reason. */
void back_key_choose(struct back_key *key, const struct plan *forward, const struct transform *transform,
                     const struct reverse_maps *maps, struct obstacles *obstacles);

/* Fill p->key, for a plan from the new table to the original, or from the original to the new table. */
void back_key_fill(const struct back_key *key, struct plan *p, bool from_original);

#endif
