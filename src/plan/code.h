/*
 * Code of other roles that a job would run with the rights of the session's role. It is refused before
 * anything is done with the table, because even its clone would evaluate it (the server folds constants in an
 * index's expressions).
 */
#ifndef PGRECAST_PLAN_CODE_H
#define PGRECAST_PLAN_CODE_H

#include "parse/statement.h"
#include "plan/plan.h"

/* To be called before the clone is made: adds reasons and hints, and fills p->code. */
bool code_refuse(struct session *s, struct plan *p, const struct statement_list *statements,
                 const struct plan_options *options, struct string_list *reasons, struct string_list *hints,
                 struct error *err);

/*
 * Code of other roles is refused before the server reads anything of the table's again, or of a target's:
 * statements are those that will be run on the clone. With all reasons that are there by then, and those of the table's kind.
 */
bool code_refuse_first(struct session *s, struct table *source, const struct plan_options *options,
                       const struct statement_list *statements, struct string_list *reasons,
                       struct error *err);

/*
 * Allow what the user's own statements have added to the clone: the user wrote it, and ALTER TABLE would run
 * it.
 */
bool code_allow(struct session *s, struct plan *p, const char *clone_schema, struct error *err);

/* For the plans of a rollback: the original's defaults make values of columns that the new table lacks. */
bool code_refuse_back(struct session *s, const struct plan_table *plans, struct string_list *reasons,
                      struct string_list *hints, struct error *err);

/* Give all plans of the table the same data about code. */
void code_spread(struct plan_table *plans);

/* The functions of a table, which the user's own text has made, for plan_options.layout_code. */
bool code_read(struct session *s, const struct table *t, struct string_list *oids, struct error *err);

#endif
