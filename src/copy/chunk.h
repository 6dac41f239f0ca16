/* One chunk: its statement and its transaction. Internal to the copy. */
#ifndef PGRECAST_COPY_CHUNK_H
#define PGRECAST_COPY_CHUNK_H

#include "copy/copy.h"

#include "core/buffer.h"

#define XID_SPAN UINT64_C(4294967296) /* transactions that 32 bits can tell apart */

/* The condition on pgrecast_src that its version is older than x0; horizon as in chunk_sql(). */
void chunk_add_age_filter(struct buffer *sql, uint64_t x0, uint64_t horizon);

/* Blocks [from, to) of the source. */
struct chunk {
    int64_t from;
    int64_t to;
};

/*
 * The statement that moves a chunk's rows. horizon is the xmax of the transaction's snapshot: every
 * transaction it sees is older. The caller frees the text.
 */
char *chunk_sql(const struct copy_request *request, struct chunk chunk, uint64_t horizon);

/*
 * Copy one chunk in one transaction with its record in pgrecast.chunk. COPY_REWRITTEN when the source's
 * storage is no longer relfilenode; nothing was copied then.
 */
enum copy_outcome chunk_copy(struct session *s, const struct copy_request *request, struct chunk chunk,
                             int64_t *rows, struct error *err);

/* What there is to copy, and in what steps. */
struct chunk_bounds {
    int64_t blocks; /* of the source's main fork now */
    int block_size;
    int64_t decoder_bytes; /* logical_decoding_work_mem: more than this the server's decoder keeps on disk */
};

bool chunk_find_bounds(struct session *s, const struct plan *plan, struct chunk_bounds *bounds,
                       struct error *err);

/*
 * After a chunk failed on a row's content: find that row by halving the chunk, and put its key into the
 * error. Best effort: err keeps what it says when the row is gone meanwhile.
 */
void chunk_name_failing_row(struct session *s, const struct copy_request *request, struct chunk chunk,
                            struct error *err);

#endif
