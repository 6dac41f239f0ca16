/*
 * Rows of the new table that the original cannot hold (pgrecast.blocked). They are written in the transaction
 * of the batch that found them, which is fenced by the write of its position. Arrays are in SQL's text form.
 */
#ifndef PGRECAST_STATE_BLOCKED_H
#define PGRECAST_STATE_BLOCKED_H

#include "state/position.h"

/* values: of the keys, in the form that blocked_enter.sql describes. errors: the reasons, without values. */
bool state_blocked_enter(struct session *s, const struct state_table *table, const char *values,
                         const char *errors, struct error *err);

/* values: as above; NULL: all rows of the table. */
bool state_blocked_remove(struct session *s, const struct state_table *table, const char *values,
                          struct error *err);

/* The keys of a table: a row for each key, a column for each column of the key, in order. */
bool state_blocked_keys(struct session *s, const struct state_table *table, int key_count, struct result *res,
                        struct error *err);

/* At most ten blocked rows of a job, for people. Zero-initialise; release with state_blocked_free(). */
struct state_blocked_rows {
    int count;
    struct state_blocked_row {
        char *key; /* with the table's name, where the job has several tables */
        char *error;
    } * rows;
};
bool state_blocked_some(struct session *s, int64_t job_id, struct state_blocked_rows *some,
                        struct error *err);
void state_blocked_free(struct state_blocked_rows *some);

#endif
