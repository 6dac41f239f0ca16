/*
 * Timelines: the position at which the server left the timeline that a job knows, before it came to its
 * current one. After a promotion nothing that followed that position in the old log has ever happened.
 *
 * Sources: PostgreSQL manual, "Streaming Replication Protocol" (TIMELINE_HISTORY), and timeline.c of the
 * server for the form of a history file.
 */
#ifndef PGRECAST_STREAM_TIMELINE_H
#define PGRECAST_STREAM_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/lsn.h"
#include "pg/session.h"

/*
 * Ask the server, over a replication connection of its own. ERROR_FAILED when timeline_before is not an
 * ancestor of the server's timeline, or is that timeline itself. When the server cannot be asked, err is set
 * by session_open() or session_error().
 */
bool stream_fork_lsn(const struct connection_options *connection, uint32_t timeline_before, lsn_t *fork,
                     struct error *err);

/*
 * The same from the content of the history file of timeline_now. ERROR_FAILED also when the content is not
 * that of a history file.
 */
bool timeline_history_fork(const char *text, size_t len, uint32_t timeline_now, uint32_t timeline_before,
                           lsn_t *fork, struct error *err);

#endif
