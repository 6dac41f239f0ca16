/* The statements that make one table of another, by what the catalogs say of both. No I/O. */
#ifndef PGRECAST_PLAN_TARGET_DIFFERENCE_H
#define PGRECAST_PLAN_TARGET_DIFFERENCE_H

#include "catalog/table.h"
#include "core/list.h"

struct target_maps {
    struct string_list columns;     /* of the target … */
    struct string_list expressions; /* … and what each of them gets */
};

/*
 * schema: of the table; both tables may be in scratch schemas. Properties that CREATE TABLE need not say
 * (comments, compression, statistics, storage parameters) stay unless the target has them. A difference for
 * which there is no statement is added to reasons.
 */
void target_difference(const struct table *source, const struct table *target, const char *schema,
                       const struct target_maps *maps, struct string_list *statements,
                       struct string_list *reasons);

#endif
