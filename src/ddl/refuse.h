/* Reasons not to do it. Each adds its reasons, one a line, so that all are told at once. No I/O. */
#ifndef PGRECAST_DDL_REFUSE_H
#define PGRECAST_DDL_REFUSE_H

#include "ddl/plan.h"

/* What kind of thing the source is: these must hold before a clone can be made. */
void refuse_source(const struct table *t, const struct plan_options *options, struct string_list *reasons,
                   struct string_list *hints);

/* What hangs on it and is not carried over. */
void refuse_dependents(struct table *t, const struct plan_options *options, struct string_list *reasons,
                       struct string_list *hints);

/* The target against the source: sequences that would be dropped under others that use them. */
void refuse_target(const struct plan *p, struct string_list *reasons);

/* Names that are taken already. */
void refuse_names(const struct plan *p, const struct string_list *relations, struct string_list *reasons,
                  struct string_list *hints);

/* ERROR_REFUSED with all reasons, one in the message, several in the detail; true where there is none. */
bool refuse_if(const struct table *t, const struct string_list *reasons, const struct string_list *hints,
               struct error *err);

#endif
