/*
 * How a row of the original comes from a row of the new table: each of the original's columns from that which
 * became of it, guarded where a value might not come through whole, or from a --reverse-map.
 */
#ifndef PGRECAST_DDL_INVERSE_H
#define PGRECAST_DDL_INVERSE_H

#include "ddl/plan.h"
#include "ddl/reverse_map.h"
#include "ddl/transform.h"
#include "ddl/view.h"

/* What stands against a way back. */
struct obstacles {
    struct string_list reasons;
    char *needs_map; /* a column for which a --reverse-map would be the way out, or NULL */
};

/* The session's, in the transaction that has the clone; inverse is to be freed by transform_free(). */
bool inverse_make(struct transform *inverse, const struct plan *forward, const struct transform *transform,
                  const struct reverse_maps *maps, const struct view_place *place,
                  struct obstacles *obstacles, struct error *err);

/* The column of the new table that an original's column became, by attnum; NULL where it was dropped. */
const struct column *inverse_target(const struct plan *forward, int column);

/* It is that column converted from one type to another, or not at all, in one step. */
bool inverse_is_direct(const struct transform *transform, int column);

#endif
