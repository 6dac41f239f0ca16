/* Where the new tables are to be: --tablespace and --index-tablespace. */
#ifndef PGRECAST_PLAN_PLACEMENT_H
#define PGRECAST_PLAN_PLACEMENT_H

#include "core/error.h"
#include "pg/session.h"
#include "plan/plan.h"

struct placement {
    const char *tablespace; /* of the tables with their TOAST tables; NULL: stays */
    const char *indexes;    /* of the indexes that the tables have; NULL: stays */
};

/*
 * The statements of the options with those that move their tables before them, for plan_options.sql; a rebuild
 * becomes such statements. They come first, so that they are about the indexes that the tables have now. The
 * caller frees the text. NULL: ERROR_REFUSED with all reasons if a tablespace cannot be used, or an error of
 * the options.
 */
char *placement_statements(struct session *s, const struct placement *placement,
                           const struct plan_options *options, struct error *err);

#endif
