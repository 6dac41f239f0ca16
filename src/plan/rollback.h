/*
 * The plans for the time after the cutover: from the new table to the original, again to the new table, and
 * the proof that both hold the same. First the part that needs the server, while the clone exists; then the
 * plans.
 */
#ifndef PGRECAST_PLAN_ROLLBACK_H
#define PGRECAST_PLAN_ROLLBACK_H

#include "objects/swap_names.h"
#include "plan_data/plan.h"
#include "rows/back_key.h"
#include "rows/inverse.h"
#include "rows/reverse_map.h"

struct rollback {
    struct reverse_maps maps;
    struct transform inverse;
    struct back_key key;
    struct obstacles obstacles;
};

/*
 * Runs in the transaction of the clone. maps: as reverse_maps_read() gives them. What prevents a rollback is
 * added to w->obstacles.
 */
bool rollback_explore(struct rollback *w, const struct string_list *maps, const struct plan *forward,
                      const struct transform *transform, const struct view_place *place, struct error *err);

/* ERROR_REFUSED with all obstacles at once, and what to do about each; true if there is none. */
bool rollback_refuse(const struct rollback *w, const struct plan *forward, struct error *err);

/*
 * Fill all of the table's plans but .forward, which exists. The transform is the forward plan's, and is used
 * up.
 */
bool rollback_plan(const struct rollback *w, struct plan_table *plans, struct transform *transform,
                   const struct swap_names *x, struct error *err);

/* Replace in a complete set: how rows go back, and what is compared. Unchanged on failure. */
bool rollback_replan(const struct rollback *w, struct plan_table *plans, struct transform *transform,
                     struct error *err);
void rollback_free(struct rollback *w);

#endif
