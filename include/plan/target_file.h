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

/* What makes the target of the table, for plan_options. */
struct target_change {
    char *sql;                      /* statements; NULL: none are needed */
    struct table *layout;           /* the target, if it is partitioned: its partitions; else NULL */
    struct string_list layout_code; /* oids of the functions that it names: the user wants them to run */
};

/*
 * Find what makes of the table what the file says. The server creates the target in a scratch schema and both
 * definitions are read from the catalogs. The statements are then run on a clone, and its definition must be
 * the target's, but for the partitions. Everything is rolled back. False: ERROR_USAGE for a text that does
 * not parse, ERROR_REFUSED with all reasons, or nothing to do.
 */
bool target_file_read(struct session *s, const struct target_file *file, struct target_change *out,
                      struct error *err);
void target_change_clear(struct target_change *c);

#endif
