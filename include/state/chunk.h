/*
 * The ranges of a table that are copied (pgrecast.chunk): a row for each range, written in the transaction
 * that copies it.
 */
#ifndef PGRECAST_STATE_CHUNK_H
#define PGRECAST_STATE_CHUNK_H

#include "state/position.h"

/* A range of blocks of a relation. */
struct state_chunk {
    int64_t first_block, end_block; /* the end is not included */
    int64_t rows;
};

/*
 * Refused to an instance that was replaced. A process that takes the job over waits for the end of this
 * transaction.
 */
bool state_chunk_record(struct session *s, const struct state_table *table, uint32_t relation,
                        const struct state_chunk *chunk, struct error *err);

/* The ranges of a relation, in order of the blocks. The caller frees *chunks. */
bool state_chunk_read(struct session *s, const struct state_table *table, uint32_t relation,
                      struct state_chunk **chunks, int *count, struct error *err);

/* Forget all ranges of the job's table of that number. */
bool state_chunk_forget(struct session *s, const struct job_state *job, int number, struct error *err);

#endif
