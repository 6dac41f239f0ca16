/*
 * The plans for what comes after the cutover: back to the original, again to the new table, and the proof
 * that both hold the same. First what needs the server, while the clone is there; then the plans.
 */
#ifndef PGRECAST_DDL_WAY_BACK_H
#define PGRECAST_DDL_WAY_BACK_H

#include "ddl/back_key.h"
#include "ddl/exchange.h"
#include "ddl/inverse.h"
#include "ddl/plan.h"
#include "ddl/reverse_map.h"

struct way_back {
    struct reverse_maps maps;
    struct transform inverse;
    struct back_key key;
    struct obstacles obstacles;
};

/* In the transaction of the clone. What stands against a way back is in w->obstacles. */
bool way_back_explore(struct way_back *w, const struct plan_options *options, const struct plan *forward,
                      const struct transform *transform, const struct view_place *place, struct error *err);

/* ERROR_REFUSED with all of it at once, and the ways out; true where there is nothing. */
bool way_back_refuse(const struct way_back *w, const struct plan *forward, struct error *err);

/* Fill all of the table's but .forward, which is there. The transform is the forward plan's, and is used up.
 */
bool way_back_plan(const struct way_back *w, struct plan_table *plans, struct transform *transform,
                   const struct exchange *x, struct error *err);

/* Into one that is full: how rows go back, and what is compared. Unchanged on failure. */
bool way_back_replan(const struct way_back *w, struct plan_table *plans, struct transform *transform,
                     struct error *err);
void way_back_free(struct way_back *w);

#endif
