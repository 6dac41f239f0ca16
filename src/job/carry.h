/*
 * Harmless changes of an active table, made by others while a job runs, that are made on its inactive table too: comments
 * of the table and its columns, statistics targets of its columns, storage parameters (but for autovacuum_enabled). Privileges on the table and
 * its columns are made by the next swap (carry_grants.h). Internal to the job.
 */
#ifndef PGRECAST_JOB_CARRY_H
#define PGRECAST_JOB_CARRY_H

#include "core/buffer.h"
#include "engine.h"

/*
 * changes: all that was found changed in the active table. Where every one of them can be carried over, and both tables
 * had the same value before (but for privileges), the inactive table gets the present value, and both definitions are stored as the ones that
 * the program has left. They are proven to differ from those stored before in nothing else. *carried: whether that was
 * done; if not, nothing was changed, and the job is held. False only where the connection was lost or the job stopped.
 */
bool carry_changes(struct engine *e, int table, json_t *changes, json_t *others, bool *carried,
                   struct error *err);

/* The names of all such columns, as an array. */
void carry_list_same_columns(const struct plan *plan, struct buffer *names);

/* Whether a column of the target is a column of the source, under the same name. */
bool carry_is_same_column(const struct plan *plan, const struct column *to);

#endif
