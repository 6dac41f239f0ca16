#include "stream/timeline.h"

bool
stream_fork_lsn(const struct connection_options *connection, uint32_t timeline_before, lsn_t *fork,
                struct error *err)
{
    (void)connection;
    *fork = 0;
    return error_set(err, ERROR_FAILED, "timeline %u was left, and following is not possible yet", timeline_before);
}
