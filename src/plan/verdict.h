/* What PostgreSQL does for a clause, concluded from the messages that it writes meanwhile. No I/O. */
#ifndef PGRECAST_PLAN_VERDICT_H
#define PGRECAST_PLAN_VERDICT_H

#include "parse/statement.h"
#include "plan_data/plan.h"

/*
 * notices: the debug messages (DEBUG1, which the server does not translate) of the clause on an empty table.
 * text: the clause as typed, or the whole statement that it stands for.
 */
struct plan_verdict verdict_of(const char *notices, const char *text, const struct clause *clause);

void verdicts_add(struct plan_verdict_list *list, struct plan_verdict verdict); /* taken over */
void verdict_clear(struct plan_verdict *verdict);
void verdicts_free(struct plan_verdict_list *list);

#endif
