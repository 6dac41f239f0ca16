/* The short form of a partitioned target: --partition-by, from which the DDL of a target file is made. */
#ifndef PGRECAST_PLAN_PARTITION_BY_H
#define PGRECAST_PLAN_PARTITION_BY_H

#include "core/error.h"
#include "pg/session.h"
#include "plan/plan.h"

struct partition_by {
    const char *table; /* as typed */
    const char *by;    /* "range (created_at)" */
    const char *every; /* an interval of whole days or months */
    const char *from;  /* where the first partition begins; NULL: where the values do */
    int ahead;         /* partitions after the one of today, or of the largest value */
    bool rest;         /* a default partition */
    bool extend_key;   /* unique keys that lack the column get it */
    const struct plan_options *options;
};

/*
 * The text of the target: the table's definition as it is, partitioned. The bounds are derived from the least and the largest
 * value, which an index tells; the table is not scanned. notes: guarantees that are given up. The caller frees the text. NULL:
 * ERROR_USAGE for options that make no sense, ERROR_REFUSED with all reasons.
 */
char *partition_by_target(struct session *s, const struct partition_by *p, struct string_list *notes,
                          struct error *err);

#endif
