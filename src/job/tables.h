/* Functions on all tables of a job together. */
#ifndef PGRECAST_JOB_TABLES_H
#define PGRECAST_JOB_TABLES_H

#include "engine.h"

/* Gives the plans to the engine, which owns them from now on, and sets up its tables. */
void engine_set_plans(struct engine *e, struct plan_set *plans);

/* True where the job has changes to follow. */
bool engine_follows(const struct engine *e);

/* True where the applies are open; below, figures of all of them together. */
bool engine_applies(const struct engine *e);
bool engine_at_boundary(const struct engine *e);
uint64_t engine_changes(const struct engine *e); /* row changes applied */
int64_t engine_blocked(const struct engine *e);  /* rows set aside */
int64_t engine_dirty_count(const struct engine *e);
bool engine_dirty_truncated(const struct engine *e);

/*
 * True where closed applies have left their dirty sets: the keys touched since all else was proven equal.
 * engine_forget_dirty() discards them.
 */
bool engine_has_dirty(const struct engine *e);
void engine_forget_dirty(struct engine *e);

/* Adds the table's name to an error about a row: the key alone does not say of which table the row is. */
void engine_name_table(const struct engine *e, const struct engine_table *t, struct error *err);

/* "s" where the job has several tables, otherwise "". */
const char *engine_plural(const struct engine *e);

#endif
