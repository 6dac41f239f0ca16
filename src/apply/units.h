/*
 * What a batch's entries fall into when it cannot be written as a whole: entries that a moved key links are
 * written together or not at all. Pure. Internal to the apply.
 */
#ifndef PGRECAST_APPLY_UNITS_H
#define PGRECAST_APPLY_UNITS_H

#include "batch.h"

/* Zero-initialise; release with units_free(). */
struct units {
    int count;
    int *starts;  /* count + 1 of them, in .entries */
    int *entries; /* unit by unit, each in the batch's order */
    int *unit_of; /* by entry */
};

/*
 * Units that only delete come first, else the order is that of the first entry. (Two keys that are equal for
 * the server but differ in bytes are two entries: the dead one must not be deleted after the other is
 * written.)
 */
void units_find(struct units *u, const struct batch *b);
void units_free(struct units *u);

#endif
