/*
 * The clone as it will be in the table's own place: with the table's schema, owner and privileges. Sequences
 * that it keeps are distinguished from new ones.
 */
#ifndef PGRECAST_PLAN_TARGET_H
#define PGRECAST_PLAN_TARGET_H

#include "clone.h"

/*
 * Turn result->after into the target. A sequence that the source has gets the source's oid, a new one 0.
 * Fails if the clone is not like the source: then something of the table would be lost.
 */
bool target_settle(const struct table *source, const char *clone_schema, struct clone_result *result,
                   struct error *err);

#endif
