/*
 * The copy: chunks of blocks of the source, read and written by the server itself (INSERT … SELECT), in
 * parallel short transactions. No snapshot outlives a chunk.
 *
 * Copied are only row versions older than x0 that are still alive. No such version can be created any more,
 * so no key comes twice, in any order; whatever else was written came after the replication slot and is in
 * the stream. Each chunk is recorded in pgrecast.chunk in its own transaction: what is recorded is there,
 * what is not is not.
 */
#ifndef PGRECAST_COPY_COPY_H
#define PGRECAST_COPY_COPY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "ddl/plan.h"
#include "pg/session.h"

/* Written by the workers, read by whoever shows the progress. */
struct copy_progress {
    _Atomic int64_t rows;
    _Atomic int64_t blocks;
    _Atomic int64_t total_blocks;
    int block_size;
};

struct copy_request {
    const struct plan *plan;
    const struct connection_options *connection;
    int64_t job_id;
    int table_number; /* of the job's tables, from 1 on */
    int64_t instance; /* of pgrecast.position: another one there means that this process has been replaced */
    uint64_t x0;      /* full transaction id: rows of this one and later are left to the stream */
    int workers;      /* sessions, 1 or more */
    int64_t chunk_bytes; /* to begin with; it adapts to the time a chunk takes */
    struct copy_progress *progress;
};

enum copy_outcome {
    COPY_DONE,
    COPY_REWRITTEN, /* the source got new storage (TRUNCATE, VACUUM FULL, CLUSTER): empty the shadow and start
                       over */
    COPY_FAILED,
};

/*
 * The sweep, for clusters past their first 2^32 transactions: there an old frozen row may carry the number of
 * a transaction since x0, so that the copy took it for new. find lists the rows that look new and are absent
 * from the shadow. When everything committed before that has been applied, insert writes those that are still
 * absent and still the same versions: they were old. Both on the session that applies, between transactions;
 * what they find is in no particular order.
 */
bool copy_sweep_needed(uint64_t horizon); /* xmax of a snapshot taken after the last chunk */
bool copy_sweep_find(struct session *s, const struct copy_request *request, struct error *err);
bool copy_sweep_insert(struct session *s, const struct copy_request *request, int64_t *rows,
                       struct error *err);

struct copy; /* a copy under way */

/* Start the workers. NULL on failure. The request's pointers must outlive it. */
struct copy *copy_start(const struct copy_request *request, struct error *err);
bool copy_done(const struct copy *c);

/* Ask the workers to end after their chunk. */
void copy_cancel(struct copy *c);

/* Wait for the workers and free c. On a row that cannot be converted the error names its key. */
enum copy_outcome copy_finish(struct copy *c, struct error *err);

#endif
