/* Reasons to refuse. Each function adds its reasons, one a line, so that all are reported at once. No I/O. */
#ifndef PGRECAST_PLAN_REFUSE_H
#define PGRECAST_PLAN_REFUSE_H

#include "plan/plan.h"

/* The kind of the source: these conditions must hold before a clone can be made. */
void refuse_source(const struct table *t, const struct plan_options *options, struct string_list *reasons,
                   struct string_list *hints);

/* encoding: of the database; refuses a table whose name has no form in UTF-8. */
void refuse_encoding(const struct table *t, const char *encoding, struct string_list *reasons);

/* Objects that depend on the table and are not carried over. */
void refuse_dependents(struct table *t, const struct plan_options *options, struct string_list *reasons,
                       struct string_list *hints);

/* Compares the target with the source: sequences that would be dropped although others use them. */
void refuse_target(const struct plan *p, struct string_list *reasons);

/*
 * A table that must not be published as it is: 18 and later, replica identity FULL with generated columns
 * (CheckCmdReplicaIdentity(), execReplication.c).
 */
void refuse_full_identity(const struct table *t, int major, struct string_list *reasons);

/* ERROR_REFUSED with all reasons: one reason in the message, several in the detail. True if there is none. */
bool refuse_if(const struct table *t, const struct string_list *reasons, const struct string_list *hints,
               struct error *err);

#endif
