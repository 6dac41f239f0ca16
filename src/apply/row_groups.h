/*
 * Row groups: a batch that cannot be written as a whole is divided into them. Entries that a moved key links
 * are in one group: they are written together or not at all. Pure. Internal to the apply.
 */
#ifndef PGRECAST_APPLY_ROW_GROUPS_H
#define PGRECAST_APPLY_ROW_GROUPS_H

#include "batch.h"

/* Zero-initialise; release with row_groups_free(). */
struct row_groups {
    int count;
    int *starts;   /* start of each group in .entries; count + 1 numbers */
    int *entries;  /* the entries group by group, in each group in the batch's order */
    int *group_of; /* the group of each entry */
};

/*
 * Groups that only delete come first; otherwise the order is that of the first entry. (Two keys that are
 * equal for the server but differ in bytes are two entries: the deleted one must not be deleted after the
 * other one is written.)
 */
void row_groups_find(struct row_groups *groups, const struct batch *b);
void row_groups_free(struct row_groups *groups);

#endif
