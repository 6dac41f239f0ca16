/*
 * Views and materialized views that are created over the shadows before the cutover. A materialized view has rows of its own,
 * which take as long as its query, so it cannot be created under the lock of the swap. A view between the tables and
 * such a materialized view is created early too.
 *
 * The statements are the server's own texts. In the transaction that creates the views each shadow is in a scratch schema
 * and has the name of its table, and the views are created in scratch schemas under their own names. So the server
 * prints their queries as those of the originals. Then all of them get their names for the time until the swap, and go to their schemas.
 */
#ifndef PGRECAST_OBJECTS_EARLY_H
#define PGRECAST_OBJECTS_EARLY_H

#include <stdbool.h>

#include "catalog/table.h"
#include "core/error.h"
#include "core/list.h"
#include "objects/dependents.h"
#include "pg/session.h"

struct early_request {
    struct session *s;
    const struct dependents_table *tables;
    int table_count;
    int count;
    const struct dependent *const *views; /* each after those that it depends on */
    const struct string_list *schemas;    /* those that the views and their parts are in … */
    const struct string_list *mirrors;    /* … and the scratch schema of each */
    const char *proof; /* the check that they mean the same, in the scratch schemas; NULL: not necessary */
};

/*
 * Plan their creation. Fills plan->early and .early_create, adds notes for people to plan->notes, and adds to reasons what
 * cannot be done. False only if the server failed.
 */
bool early_plan(const struct early_request *request, struct dependents_plan *plan,
                struct string_list *reasons, struct error *err);

void early_free(struct plan_early *early, int count);

#endif
