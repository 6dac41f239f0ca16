/* The job that a command which is given again may be about. */
#ifndef PGRECAST_STATE_EARLIER_H
#define PGRECAST_STATE_EARLIER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "pg/session.h"

struct earlier_job {
    char *name; /* the caller frees it; NULL: there is no such job */
    bool ended;
    bool same;     /* it makes the same change */
    bool finished; /* it has finished, and its new tables are still the tables of these names */
};

/*
 * In a state of the current format. name: the wanted name, or NULL: any. sql: the statements, or NULL for a
 * rebuild of the table, whose name is as typed. Statements are the same if their texts are, apart from space
 * and semicolons around them.
 */
bool earlier_find(struct session *s, const char *name, const char *sql, const char *table,
                  struct earlier_job *job, struct error *err);

/*
 * The ended job whose original or new table this is, in a state of the current format: *job is its name (the
 * caller frees it), or NULL.
 */
bool earlier_kept_by(struct session *s, uint32_t table, char **job, struct error *err);

#endif
