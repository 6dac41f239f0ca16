/* By which columns a row of the new table is found in the original, while the new table is active. No I/O. */
#ifndef PGRECAST_ROWS_BACK_KEY_H
#define PGRECAST_ROWS_BACK_KEY_H

#include "plan_data/plan.h"
#include "rows/inverse.h"
#include "rows/transform.h"

struct back_key_column {
    int original; /* position in forward->source->columns */
    int made;     /* position in forward->target->columns */
    /* how the original's index compares the column; NULL: the column is not in that index */
    const struct index_key *original_index;
    const struct index_key *made_index;
};

struct back_key {
    int count;
    struct back_key_column *items;
    const struct index *original; /* finds a row of the original by some or all of the columns */
};

/* From the new table's replica identity. Whatever prevents a rollback becomes a reason. */
void back_key_choose(struct back_key *key, const struct plan *forward, const struct transform *transform,
                     const struct reverse_maps *maps, struct obstacles *obstacles);

/* Fill p->key, for a plan from the new table to the original, or from the original to the new table. */
void back_key_fill(const struct back_key *key, struct plan *p, bool from_original);

#endif
