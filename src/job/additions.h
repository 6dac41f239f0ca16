/* What others add to a new table before it is complete. Internal to the job. */
#ifndef PGRECAST_JOB_ADDITIONS_H
#define PGRECAST_JOB_ADDITIONS_H

#include "engine.h"

enum additions_when {
    ADDITIONS_CREATED,  /* just after it was made */
    ADDITIONS_FILLED,   /* it has rows and indexes */
    ADDITIONS_COMPLETE, /* it has its constraints too */
};

/*
 * Removes additions of others. To be called in the transaction that has made a new table, or that completes
 * it: what an event trigger, or somebody else, has added (row security, policies, triggers, rules,
 * privileges, publications, columns, constraints, indexes, statistics objects, another owner) is removed again. ERROR_REFUSED,
 * with the names of the event triggers, where that is not possible or where it appears again.
 */
bool additions_remove(struct engine *e, int table, enum additions_when when, struct error *err);

/*
 * Between these two, the table, its columns and its sequences must keep their definitions: note them when the table is
 * made, check them before it is completed. ERROR_FAILED names what was changed.
 */
bool additions_note(struct engine *e, int table, struct error *err);
bool additions_check(struct engine *e, int table, struct error *err);

#endif
