/* The texts that move and compare rows, from the composed transform. No I/O. */
#ifndef PGRECAST_DDL_ROWS_H
#define PGRECAST_DDL_ROWS_H

#include "ddl/plan.h"
#include "ddl/transform.h"

/* Fill plan->columns. Needs plan->source and ->target. False where a default did not stay what made the
 * values. */
bool rows_plan_columns(struct plan *p, const struct transform *t, struct error *err);

/* Fill the texts and lists for moving, and for comparing. Need plan->columns and ->key too. */
void rows_plan_insert(struct plan *p, const struct transform *t);

enum rows_comparison {
    ROWS_APPLIED, /* the target's rows were all made from the source's */
    ROWS_PROVEN,  /* the target is written to by itself: what means the same is the same */
};
void rows_plan_compare(struct plan *p, const struct transform *t, enum rows_comparison comparison);

#endif
