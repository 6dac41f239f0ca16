/* What is known of conversions between the server's own types, from their oids. No I/O. */
#ifndef PGRECAST_DDL_TYPES_H
#define PGRECAST_DDL_TYPES_H

#include "ddl/plan.h"

/* An assignment gives the very value, or an error of class 22. */
bool types_assign_exactly(const struct column *from, const struct column *to);

/* There is no value that does not fit. */
bool types_always_fit(const struct column *from, const struct column *to);

/* An explicit cast loses nothing that the value means, though its text may come out different. */
bool types_keep_meaning(const struct column *from, const struct column *to);

/* Values that "=" calls equal are the same, or differ only in what a proof leaves aside. */
bool types_compare_well(const struct column *c);

/*
 * For a key: every value stays equal to itself and different from all others, both ways; what does not fit is
 * an error.
 */
bool types_keep_keys(const struct column *from, const struct column *to);

/*
 * For a value of the type of from that is looked for in an index on to: a template with $1 for the value,
 * that gives NULL or what equals nothing where to cannot hold it. NULL: the types are one.
 */
char *types_lookup(const struct column *from, const struct column *to);

/* Are two names of types, or collations, that may be NULL the same? */
bool types_same(const char *a, const char *b);

/* The length in "character varying(20)", -1 where there is none. */
int types_varchar_length(const char *type);

#endif
