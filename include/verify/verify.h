/*
 * Compare source and shadow, each in a snapshot of its own that was exported at the same log position, in
 * parallel, in worker threads: the caller goes on applying meanwhile. And compare the rows of a set of keys
 * only, in one session.
 *
 * Rows are read by block ranges in binary COPY and digested (verify/digest.h). Buckets that differ are read
 * again, to the keys (verify/comparison.h). Nothing is repaired here. No row's values are kept or told but
 * its key.
 *
 * Every range is read in a transaction of its own, so that no lock outlives it. Each first locks its table in
 * ACCESS SHARE MODE and checks that the table's file is still that of the snapshot: a table rewritten or
 * truncated since then would read as empty, without an error.
 *
 * Refuses: to report on sides that did not stand still. A second reading must find what the first one found.
 */
#ifndef PGRECAST_VERIFY_VERIFY_H
#define PGRECAST_VERIFY_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "ddl/plan.h"
#include "pg/session.h"

enum verify_difference { VERIFY_MISSING, VERIFY_EXTRA, VERIFY_DIFFERENT }; /* in the shadow */

struct verify_mismatch {
    enum verify_difference difference;
    char *key; /* the key for people: "(1, abc)" */

    /* key_count texts of the key in the source's types, by their output functions: as in the change stream */
    char **key_values;
};

/* Entries of a result, or as many as have 16 MB of key texts; of more only the count is known. */
#define VERIFY_MISMATCHES_KEPT 100000

/* Zero-initialise; release with verify_result_free(). */
struct verify_result {
    int64_t source_rows, shadow_rows;
    char hash[33]; /* of the source's rows */
    char shadow_hash[33];
    uint64_t mismatch_count; /* keys */
    bool count_is_least;     /* there may be more: so many that not all were looked at */
    int key_count;
    int kept; /* entries of mismatches, in no order that means something */
    struct verify_mismatch *mismatches;
};

struct verify_request {
    const struct plan *plan;
    const struct connection_options *connection;
    const char *source_snapshot; /* of pg_export_snapshot(), kept open by the caller until verify_finish() */
    const char *shadow_snapshot; /* may be the same one */
    int workers;                 /* sessions, at least 1 */
    int64_t chunk_bytes;         /* about how much of a table a worker reads at a time */
};

struct verify; /* a comparison under way */

/*
 * Starts the workers. NULL on failure. The request and what it points to must outlive it. A stop request
 * (core/stop.h) ends them too.
 */
struct verify *verify_start(const struct verify_request *request, struct error *err);

/*
 * How far the first reading is, 0 to 1; it stays there while differing buckets are read again. Rows are those
 * of both sides in the first reading. Thread-safe.
 */
double verify_progress(const struct verify *v);
int64_t verify_rows_read(const struct verify *v);
bool verify_done(const struct verify *v);

/* Ask the workers to end at their next rows; verify_finish() then fails unless all was done. Thread-safe. */
void verify_cancel(struct verify *v);

/* err->sqlstate, of our own making, when a table got new storage since its snapshot: to be compared anew. */
#define VERIFY_REWRITTEN "PGRW1"

/*
 * Waits, frees v, fills result (to be released also on failure). False when a worker failed: the connection,
 * an expression that fails on a row, a table rewritten or truncated since the snapshot, a cancellation or a
 * stop. That rows differ is no failure here.
 */
bool verify_finish(struct verify *v, struct verify_result *result, struct error *err);

/*
 * Compare the rows of a set of keys: those that the stream touched since a full comparison.
 *
 * keys_table_sql names (quoted) a table this session sees, usually a temporary one, with columns k1 … kN of
 * the types of plan->key. A key that is on neither side is equal; keys may be there twice. A transaction must
 * be open, in which both tables stand still: REPEATABLE READ, or locked against writers; on an error it is
 * aborted. Few keys cost a few index look-ups on each side, a million some seconds. Each side needs an index
 * that begins with the key. result->source_rows and shadow_rows count the rows found.
 *
 * The session must have been prepared: from then on it looks up rows by index from the keys' side, whatever
 * the statistics of a table just made say. A hash join would read both tables under the lock.
 */
bool verify_keys_prepare(struct session *s, struct error *err);
bool verify_keys(struct session *s, const struct plan *plan, const char *keys_table_sql,
                 struct verify_result *result, struct error *err);

void verify_result_free(struct verify_result *r);

#endif
