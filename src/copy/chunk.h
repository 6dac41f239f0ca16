/* One chunk: its statement and its transaction. Internal to the copy. */
#ifndef PGRECAST_COPY_CHUNK_H
#define PGRECAST_COPY_CHUNK_H

#include "copy/copy.h"

#include "core/buffer.h"

#define XID_SPAN UINT64_C(4294967296) /* number of transactions that 32 bits can distinguish */

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
 * Copy one chunk in one transaction with its record. COPY_REWRITTEN when the source's
 * storage is no longer relfilenode; nothing was copied then.
 */
enum copy_outcome chunk_copy(struct session *s, const struct copy_request *request, struct chunk chunk,
                             int64_t *rows, struct error *err);

/* How much there is to copy, and limits for the size of a chunk. */
struct chunk_bounds {
    int64_t blocks; /* of the source's main fork at this time */
    int block_size;
    /* logical_decoding_work_mem: the server's decoder writes what exceeds it to disk. */
    int64_t decoder_bytes;
};

bool chunk_find_bounds(struct session *s, const struct plan *plan, struct chunk_bounds *bounds,
                       struct error *err);

/*
 * After a chunk has failed because of a row's content: find the row by halving the chunk, and put its key
 * into the error. Best effort: err stays as it is when the row does not exist any more.
 */
void chunk_name_failing_row(struct session *s, const struct copy_request *request, struct chunk chunk,
                            struct error *err);

#endif
