#include "xids.h"

#include "core/mem.h"

void
xids_add(struct xid_list *list, uint64_t xid)
{
    if (list->count == list->cap) {
        list->cap = list->cap > 0 ? list->cap * 2 : 256;
        list->xids = mem_array(list->xids, (size_t)list->cap, sizeof(*list->xids));
    }
    list->xids[list->count++] = xid;
}

uint64_t
xid_widen(uint64_t near, uint32_t xid)
{
    int32_t distance = (int32_t)(xid - (uint32_t)near);

    return near + (uint64_t)(int64_t)distance;
}

bool
xids_settle(struct xid_list *list, const struct snapshot *snapshot)
{
    int kept = 0;

    for (int i = 0; i < list->count; i++) {
        if (!snapshot_sees(snapshot, list->xids[i]))
            list->xids[kept++] = list->xids[i];
    }
    list->count = kept;
    return kept == 0;
}
