/*
 * Indexes that others add to an original while it is active, or drop from it: the new table follows, and the later swaps exchange
 * the names of the two indexes, or leave out those that are gone. After a cutover changes of indexes are not carried over, because a rollback
 * undoes them (watch_tables.c). Internal to the job.
 *
 * Only plain indexes are carried over: they are not unique, belong to no constraint, and use nothing but columns that both tables have
 * and what is built in. The apply has to know unique indexes, and code of others must not run with the rights of the job.
 */
#ifndef PGRECAST_JOB_CARRY_INDEX_H
#define PGRECAST_JOB_CARRY_INDEX_H

#include <jansson.h>

#include "engine.h"

/* Whether it is a change of this kind, of those that watch_list_changes() gives. */
bool carry_index_is(json_t *change);

/*
 * For each of these changes whether and how it can be carried over: carry_index.sql. before: the former definitions of the two
 * tables. Other changes are left out.
 */
bool carry_index_read(struct engine *e, int table, json_t *changes, const char *active, const char *inactive,
                      struct result *r, struct error *err);

/* How far the changes are. */
enum carry_index_state {
    CARRY_INDEX_NEVER,   /* one of them cannot be carried over */
    CARRY_INDEX_OTHERS,  /* the inactive table was changed in other ways */
    CARRY_INDEX_UNBUILT, /* an index has to be built first: carry_index_build() */
    CARRY_INDEX_READY,
};
/* others: what was found changed in the inactive table (NULL: nothing); it may have nothing but such an index. */
enum carry_index_state carry_index_judge(const struct result *r, json_t *changes, json_t *others);

/* Run the statements of the indexes that were dropped. */
bool carry_index_drop(struct engine *e, const struct result *r, struct error *err);

/*
 * Put the present indexes into the definitions of before. False if the two indexes are not the same at this
 * moment.
 */
bool carry_index_settle(const struct result *r, json_t *before_active, json_t *before_inactive,
                        json_t *now_active, json_t *now_inactive);

/* Change the plan of the swaps. False if they do not have what is to be left out. */
bool carry_index_amend(const struct result *r, int table, struct plan_set *plans);

/*
 * Build on the inactive tables what is missing, and carry the changes over. To be called by the loops that wait while nothing else is
 * done: nothing is applied meanwhile, because the build locks the table. Does nothing where nothing is missing.
 */
bool carry_index_build(struct engine *e, struct error *err);

#endif
