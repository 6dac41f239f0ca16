/*
 * How a row of the original comes from a row of the new table. Each of the original's columns comes from the
 * column that it became, with a guard if a value might not be kept exactly, or from a --reverse-map.
 */
#ifndef PGRECAST_ROWS_INVERSE_H
#define PGRECAST_ROWS_INVERSE_H

#include "plan_data/plan.h"
#include "rows/reverse_map.h"
#include "rows/transform.h"
#include "rows/view.h"

/* What prevents a rollback. */
struct obstacles {
    struct string_list reasons;
    char *needs_map; /* a column for which a --reverse-map would solve the problem, or NULL */
};

/* The session is in the transaction that has the clone. inverse is to be freed by transform_free(). */
bool inverse_make(struct transform *inverse, const struct plan *forward, const struct transform *transform,
                  const struct reverse_maps *maps, const struct view_place *place,
                  struct obstacles *obstacles, struct error *err);

/* The column of the new table that an original's column became, by attnum; NULL where it was dropped. */
const struct column *inverse_target(const struct plan *forward, int column);

/*
 * The column's value comes from that column in one step, by a conversion from one type to another or
 * unchanged.
 */
bool inverse_is_direct(const struct transform *transform, int column);

#endif
