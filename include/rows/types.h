/* What is known of conversions between the server's own types, by their oids. No I/O. */
#ifndef PGRECAST_ROWS_TYPES_H
#define PGRECAST_ROWS_TYPES_H

#include <stdbool.h>

#include "catalog/table.h"

/* An assignment gives exactly the same value, or an error of class 22. */
bool types_assign_exactly(const struct column *from, const struct column *to);

/* Every value of the one type fits the other. */
bool types_always_fit(const struct column *from, const struct column *to);

/* An explicit cast keeps the meaning of the value, although its text may change. */
bool types_keep_meaning(const struct column *from, const struct column *to);

/* Values that "=" calls equal are identical, or differ only in what a proof ignores. */
bool types_compare_well(const struct column *c);

/* timestamp with or without time zone itself, not a domain over it */
bool types_is_timestamp(const struct column *c, bool with_zone);

/*
 * For a key: every value stays equal to itself and different from all others, in both directions; a value
 * that does not fit is an error.
 */
bool types_keep_keys(const struct column *from, const struct column *to);

/*
 * For a value of the first type that is looked up in an index on the second: a template with $1 for the
 * value. It gives NULL, or a value that equals nothing, if the second type cannot hold the value. NULL: the
 * two types are the same.
 */
char *types_lookup(const struct column *from, const struct column *to);

/* Whether two names of types or collations, which may be NULL, are the same. */
bool types_same(const char *a, const char *b);

/* The length in "character varying(20)"; -1 if there is none. */
int types_varchar_length(const char *type);

#endif
