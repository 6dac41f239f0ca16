/*
 * Sequences that a table's columns own, that move along in the swap, and whose column gets a wider type.
 * ALTER TABLE leaves the type of the sequence alone, and so does a job: nextval still fails at the old type's
 * limit.
 */
#ifndef PGRECAST_PLAN_SEQUENCES_H
#define PGRECAST_PLAN_SEQUENCES_H

#include "pg/session.h"
#include "plan_data/plan.h"

/*
 * Each sequence gets the type of its column in p->target, with the limits that ALTER SEQUENCE … AS sets. No
 * I/O.
 */
void sequences_widen(struct plan *p);

/*
 * Refuses a sequence that would become narrower: a value that it has given out may be beyond the new limit.
 */
void sequences_refuse(const struct plan *p, struct string_list *reasons);

/*
 * A sequence that stays narrow gives a warning, with its limit and position; one that becomes wider gives a
 * note on the rollback.
 */
bool sequences_warn(struct session *s, struct plan *p, struct error *err);

#endif
