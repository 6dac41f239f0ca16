/* What the user should know beforehand, though it is no reason to refuse. */
#ifndef PGRECAST_DDL_NOTES_H
#define PGRECAST_DDL_NOTES_H

#include "ddl/clone.h"
#include "ddl/plan.h"

/* Add to clone->notes. In the transaction of clone_run(). */
bool notes_add(struct session *s, const struct plan *p, struct clone_result *clone, struct error *err);

#endif
