/* The texts that move and compare rows, from the composed transform. No I/O. */
#ifndef PGRECAST_DDL_ROWS_H
#define PGRECAST_DDL_ROWS_H

#include "ddl/plan.h"
#include "ddl/transform.h"

/* Fill plan->columns. Needs plan->source and ->target. False where a default did not stay what made the
 * values. */
bool rows_plan_columns(struct plan *p, const struct transform *t, struct error *err);

/* Fill the texts and lists for moving and comparing. Needs plan->columns and ->key too. */
void rows_plan_texts(struct plan *p, const struct transform *t);

#endif
