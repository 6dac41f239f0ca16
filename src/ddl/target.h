/*
 * What the clone became, as it will be in the table's own place: with the table's schema, owner and
 * privileges, and with the sequences that it keeps told from those that are new.
 */
#ifndef PGRECAST_DDL_TARGET_H
#define PGRECAST_DDL_TARGET_H

#include "ddl/clone.h"
#include "ddl/plan.h"

/*
 * Turn result->after into the target: a sequence that the source has gets the source's oid, a new one 0.
 * Fails where the clone is not like the source: then something of the table would get lost.
 */
bool target_settle(const struct table *source, const char *clone_schema, struct clone_result *result,
                   struct error *err);

#endif
