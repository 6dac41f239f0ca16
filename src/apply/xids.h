/* A list of full transaction ids. Pure. Internal to the apply. */
#ifndef PGRECAST_APPLY_XIDS_H
#define PGRECAST_APPLY_XIDS_H

#include <stdbool.h>
#include <stdint.h>

#include "snapshot.h"

/* Zero-initialise; free .xids. */
struct xid_list {
    int count;
    int cap;
    uint64_t *xids;
};

void xids_add(struct xid_list *list, uint64_t xid);

/* The full id nearest to `near` with these low 32 bits. */
uint64_t xid_widen(uint64_t near, uint32_t xid);

/* Remove the ids that the snapshot sees; true when none is left. */
bool xids_settle(struct xid_list *list, const struct snapshot *snapshot);

#endif
