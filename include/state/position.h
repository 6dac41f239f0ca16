/*
 * The position up to which the changes of a stream are applied to one table (pgrecast.position). It is
 * written in the transaction that applies them, so after a crash both are there or neither is. A write of an
 * instance that was replaced is refused, and rolled back with the changes that it applied.
 */
#ifndef PGRECAST_STATE_POSITION_H
#define PGRECAST_STATE_POSITION_H

#include "pg/pipeline.h"
#include "state/job.h"

/* A table of a job, and the instance that may write its state. */
struct state_table {
    int64_t job_id;
    int number; /* beginning with 1 */
    int64_t instance;
};

struct state_position {
    lsn_t applied;    /* never goes back */
    uint64_t changes; /* changes applied by this instance */
    /*
     * 0: nothing is applied beyond the position. Otherwise changes are applied up to here, except those of …
     */
    lsn_t beyond;
    const char *held; /* … the transactions with these commit records: an array in SQL's text form */
};

/* Set the position of all tables of a job to lsn. */
bool state_position_reset(struct session *s, const struct job_state *job, lsn_t lsn, struct error *err);

bool state_position_write(struct session *s, const struct state_table *table,
                          const struct state_position *position, struct error *err);

/* The same as a part of a pipeline; then whether it was written, from its result. */
void state_position_add(struct pipeline *p, const struct state_table *table,
                        const struct state_position *position);
bool state_position_written(const struct result *res, struct error *err);

/* Until the end of the transaction nobody can take the job over. */
bool state_position_lock(struct session *s, const struct state_table *table, struct error *err);

/* What is applied beyond the position; *beyond is 0 where nothing is. The caller frees *held. */
bool state_position_read_beyond(struct session *s, const struct state_table *table, lsn_t *beyond,
                                lsn_t **held, int *held_count, struct error *err);

#endif
