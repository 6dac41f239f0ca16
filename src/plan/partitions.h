/* The partitions that a target file gives a table. */
#ifndef PGRECAST_PLAN_PARTITIONS_H
#define PGRECAST_PLAN_PARTITIONS_H

#include "plan/plan.h"

/*
 * What the table has and a partitioned table cannot have, or what cannot be carried over to one yet, and
 * names of partitions that are in use. Nothing if the target is not partitioned. target: NULL if it is not known yet.
 */
bool partitions_refuse(struct session *s, const struct table *source, const struct table *target,
                       const struct plan_options *options, struct string_list *reasons, struct error *err);

/* Give the target of a plan the partitions of the layout. No I/O. */
void partitions_give(struct plan *p, const struct table *layout);

/* What PostgreSQL itself would do to partition the table. No I/O. */
void partitions_judge(struct plan *p);

/* Refuse a key that is not carried over to the partitioned table. No I/O. */
void partitions_refuse_key(const struct plan *p, struct string_list *reasons);

#endif
