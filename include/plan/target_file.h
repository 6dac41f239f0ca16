/* A change that is given as the definition that the table is to have. */
#ifndef PGRECAST_PLAN_TARGET_FILE_H
#define PGRECAST_PLAN_TARGET_FILE_H

#include "core/error.h"
#include "pg/session.h"
#include "plan/plan.h"

struct target_file {
    const char *table; /* as typed */
    const char *ddl;   /* the text of the file */
    int map_count;
    const struct plan_options *options; /* those of the plan, without the statements */
    const char *const *maps;            /* "column=expression", over the columns of the table as it is */
};

/*
 * The statements that make of the table what the file says, for plan_options.sql. The server creates the
 * target in a scratch schema and both definitions are read from the catalogs. The statements are then run on
 * a clone, and its definition must be the target's. Everything is rolled back. The caller frees the text.
 * NULL: ERROR_USAGE for a text that does not parse, ERROR_REFUSED with all reasons, or nothing to do.
 */
char *target_file_statements(struct session *s, const struct target_file *file, struct error *err);

#endif
