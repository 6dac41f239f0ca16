/*
 * Reads some rows to see whether stored generated columns hold what their expressions give now. The new table
 * gets what they give now, and a job refuses before the cutover if that is another value. The result is only
 * a warning, because the other rows are not known. Takes two seconds at most.
 */
#ifndef PGRECAST_PLAN_SAMPLE_H
#define PGRECAST_PLAN_SAMPLE_H

#include "pg/session.h"
#include "plan_data/plan.h"

/*
 * Runs a SELECT of one row over rows of a table, within limit ("2s"), in the session's open transaction, and undoes what
 * that has set. *asked: it was answered. texts_differ: as in struct plan_comparison. False only if the session is lost. The
 * caller frees r.
 */
bool sample_ask(struct session *s, const char *sql, const char *limit, bool texts_differ, struct result *r,
                bool *asked, struct error *err);

/*
 * Runs in the session's open transaction. Notes go to the plan's advice. False only if the session is lost.
 */
bool sample_generated(struct session *s, struct plan *p, struct error *err);

/*
 * Writes some rows, as they are, to a new table like the source, because a job evaluates every CHECK, stored generated
 * column and expression of an index again, and ALTER TABLE does not. Adds to reasons what cannot be evaluated, or
 * does not hold any more: a CHECK that reads the time, a function that needs another search_path. Looks only at
 * tables with such an expression. What the statements drop or replace is left out. The rows are read under ACCESS
 * SHARE, for two seconds at most in each attempt; no trigger of the table fires. If the table belongs to another role
 * that is not trusted, nothing is evaluated. False only if the session is lost.
 */
bool sample_expressions(struct session *s, struct plan *p, const char *clone_schema,
                        struct string_list *reasons, struct string_list *hints, struct error *err);

#endif
