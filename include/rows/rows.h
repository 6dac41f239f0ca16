/* The texts that move and compare rows, from the composed transform. No I/O. */
#ifndef PGRECAST_ROWS_ROWS_H
#define PGRECAST_ROWS_ROWS_H

#include "plan_data/plan.h"
#include "rows/transform.h"

/*
 * Fill plan->columns. Needs plan->source and ->target. False if a default changed after it had made the
 * values.
 */
bool rows_plan_columns(struct plan *p, const struct transform *t, struct error *err);

/* Fill the texts and lists for moving, and for comparing. They need plan->columns and ->key too. */
void rows_plan_insert(struct plan *p, const struct transform *t);

enum rows_comparison {
    ROWS_APPLIED, /* all rows of the target were made from the source's */
    ROWS_PROVEN,  /* the target is written to by users: values that mean the same count as equal */
};
void rows_plan_compare(struct plan *p, const struct transform *t, enum rows_comparison comparison);

#endif
