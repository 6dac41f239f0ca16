#ifndef PGRECAST_STREAM_TIMELINE_H
#define PGRECAST_STREAM_TIMELINE_H
#include "core/lsn.h"
#include "pg/session.h"
bool stream_fork_lsn(const struct connection_options *connection, uint32_t timeline_before, lsn_t *fork,
                     struct error *err);
#endif
