/*
 * The copy: the server itself reads and writes chunks of blocks of the source (INSERT … SELECT), in parallel
 * short transactions. No snapshot outlives a chunk.
 *
 * Only row versions that are older than x0 and still alive are copied. No such version can be created any
 * more, so no
 * key is copied twice, in whatever order the chunks are copied. Everything else was written after the
 * replication slot
 * was created, and is in the stream. Each chunk is recorded (state/chunk.h) in its own transaction, so that a
 * chunk is
 * recorded if and only if its rows are in the shadow.
 */
#ifndef PGRECAST_COPY_COPY_H
#define PGRECAST_COPY_COPY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "plan_data/plan.h"
#include "pg/session.h"
#include "state/position.h"

/* Written by the workers, read by the code that shows the progress. */
struct copy_progress {
    _Atomic int64_t rows;
    _Atomic int64_t blocks;
    _Atomic int64_t total_blocks;
    int block_size;
};

struct copy_request {
    const struct plan *plan;
    const struct connection_options *connection;
    /* The job's table; if the state has another instance, this process was replaced. */
    struct state_table table;
    /* Full transaction id: rows of this and later transactions are left to the stream. */
    uint64_t x0;
    int workers; /* sessions, 1 or more */
    /* Size of the first chunks; it is then adapted to the time that a chunk takes. */
    int64_t chunk_bytes;
    struct copy_progress *progress;
};

enum copy_outcome {
    COPY_DONE,
    /* The source got new storage (TRUNCATE, VACUUM FULL, CLUSTER): empty the shadow and begin again. */
    COPY_REWRITTEN,
    COPY_FAILED,
};

/*
 * The sweep is for clusters that have passed their first 2^32 transactions. There an old frozen row may carry
 * the number of a transaction since x0, so that the copy took it for a new row. find lists the rows that look
 * new and are absent from the shadow. When everything that was committed before that is applied, insert
 * writes the rows that are still absent and are still the same versions: these were old. Both run on the
 * session that applies, between two transactions. The rows that they find are in no particular order.
 */
bool copy_sweep_needed(uint64_t horizon); /* horizon: xmax of a snapshot taken after the last chunk */
bool copy_sweep_find(struct session *s, const struct copy_request *request, struct error *err);
bool copy_sweep_insert(struct session *s, const struct copy_request *request, int64_t *rows,
                       struct error *err);

struct copy; /* a copy that runs */

/* Start the workers. NULL on failure. The request's pointers must outlive it. */
struct copy *copy_start(const struct copy_request *request, struct error *err);
bool copy_done(const struct copy *c);

/* Ask the workers to end after their chunk. */
void copy_cancel(struct copy *c);

/* Wait for the workers and free c. On a row that cannot be converted the error names its key. */
enum copy_outcome copy_finish(struct copy *c, struct error *err);

#endif
