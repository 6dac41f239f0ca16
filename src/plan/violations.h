/*
 * Foreign keys that plain ALTER TABLE would check while it runs the statements: those that VALIDATE
 * CONSTRAINT names, those that are added, and those on columns whose values a USING expression changes. The job can only check
 * them after the swap, when it is too late to fail. So their rows are looked at before anything is created.
 * Such a key is enforced for all later changes, so rows that fit now do so at the end.
 */
#ifndef PGRECAST_PLAN_VIOLATIONS_H
#define PGRECAST_PLAN_VIOLATIONS_H

#include "parse/statement.h"
#include "pg/session.h"
#include "plan_data/plan.h"

/*
 * The keys of one table of the job; a key between two of its tables counts with the referencing one. Runs in
 * the session's open transaction, which has the clone as the statements have left it, after all forward plans
 * are made. Reads all rows of the tables concerned. A key that cannot be looked at (no privilege, row
 * security) becomes a note of the plan. ERROR_REFUSED if a row violates a key.
 */
bool violations_refuse(struct session *s, const struct plan_set *set, struct plan *p,
                       const struct statement_list *statements, const char *clone_schema, struct error *err);

#endif
