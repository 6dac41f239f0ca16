/*
 * What others change while the job runs: its publications, its slot, and the definitions of its tables and of all that
 * depends on them. Internal to the job.
 *
 * A change of a publication ends the job, and so does the loss of the slot. A change of a definition holds it: it stays in sync, but nothing is
 * swapped until the definition is as it was.
 */
#ifndef PGRECAST_JOB_WATCH_H
#define PGRECAST_JOB_WATCH_H

#include <jansson.h>

#include "core/buffer.h"
#include "engine.h"
#include "pg/pipeline.h"

/*
 * watch_tick() checks every few seconds and is called by the tick; watch_now() checks at once. False where
 * the job cannot continue. e->job.held says whether it may swap.
 */
bool watch_tick(struct engine *e, struct error *err);
bool watch_now(struct engine *e, struct error *err);
/* Set the error of a job that is held. Returns false. */
bool watch_refuse(const struct engine *e, struct error *err);

/*
 * Check that the publications are as the job has made them. ERROR_FAILED where they are not: then
 * e->job.held_for_good is set, in the job's row too, and no swap is possible any more.
 */
bool watch_published(struct engine *e, struct error *err);

/*
 * Check the slot. ERROR_FAILED where it is gone or was invalidated: then e->job.held_for_good is set, as above.
 * connection_lost where the stream does not use it any more.
 */
bool watch_slot(struct engine *e, struct error *err);
/* True where the slot is gone or was invalidated; err says which. Needs no stream, and stores nothing. */
bool watch_slot_lost(struct engine *e, struct error *err);
/* Names who uses the slot, where START_REPLICATION has found it in use (err). Returns false. */
bool watch_slot_busy(struct engine *e, struct error *err);

/* Check the tables. ERROR_FAILED where one has another name, under which the job does not find it. */
bool watch_tables(struct engine *e, struct error *err);
/* The job has failed. True where a table was changed so that the job can never continue; err then says so. */
bool watch_hopeless(struct engine *e, struct error *err);
/* To be called when the direction changes: what was seen before is of no use. */
void watch_forget(struct engine *e);

/* Store the definitions that the program has left: after a swap, when its lock is released. */
bool watch_note_swapped(struct engine *e, struct error *err);
/* Store the definitions of the new tables, in the transaction that completes them. */
bool watch_note_shadows(struct engine *e, struct error *err);

/*
 * The check under the lock, as part of a pipeline of the applies' session: prepare, add, then check, from the
 * first of the results that were added. ERROR_LOCK where the rows in the catalogs are others than at the last
 * check: the lock is given back, and the change is examined without it.
 */
bool watch_prepare(struct engine *e, struct error *err);
void watch_add(struct engine *e, struct pipeline *p);
bool watch_check(struct engine *e, const struct pipeline *p, int first, struct error *err);
void watch_tables_add(struct engine *e, struct pipeline *p);
bool watch_tables_check(struct engine *e, const struct result *res, struct error *err);

/* "{oid,...}": the oids of the active tables, or of the inactive ones. The caller frees it. */
char *watch_oids(const struct engine *e, bool active);

/* The changes that definition_difference.sql has found, as text for people and as JSON. */
void watch_name_changes(const struct engine *e, struct buffer *text, const struct result *res);
json_t *watch_list_changes(const struct result *res);

#endif
