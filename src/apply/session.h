/*
 * Settings of every session that applies: that of the applies, and those of the workers. Internal to the
 * apply.
 */
#ifndef PGRECAST_APPLY_SESSION_H
#define PGRECAST_APPLY_SESSION_H

#include <stdint.h>

#define APPLY_SESSION_PURPOSE "apply"

/*
 * Rows are always found by the key index, whatever plan the server would choose for a table without
 * statistics.
 */
#define APPLY_SESSION_SETTINGS                                                                               \
    "SET synchronous_commit = off; SET enable_seqscan = off; SET enable_hashjoin = off; "                    \
    "SET enable_mergejoin = off; SET enable_material = off; SET client_min_messages = error"

/*
 * These settings, and the statements that make the session one of the job's (state/guard.h). The caller frees
 * the text.
 */
char *apply_session_settings(int64_t job_id);

#endif
