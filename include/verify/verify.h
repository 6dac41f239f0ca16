/*
 * Compare source and shadow, each in a snapshot of its own that was exported at the same log position. Worker
 * threads do it in parallel, so that the caller can apply changes meanwhile. Another function compares the
 * rows of a set of keys only, in one session.
 *
 * Rows are read by block ranges in binary COPY and digested (verify/digest.h). Buckets that differ are read
 * again, to
 * find the keys (verify/comparison.h). Nothing is repaired here. Of a row only the key is kept or reported.
 *
 * Every range is read in a transaction of its own, so that no lock lasts longer. Each transaction first locks
 * its table
 * in ACCESS SHARE MODE and checks that the table's file is still that of the snapshot: a table rewritten or
 * truncated
 * since then would look empty, without an error.
 *
 * Refuses to report on sides that were changed meanwhile: a second reading must find what the first one
 * found.
 */
#ifndef PGRECAST_VERIFY_VERIFY_H
#define PGRECAST_VERIFY_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/sqlstate.h"
#include "plan_data/plan.h"
#include "pg/session.h"

enum verify_difference { VERIFY_MISSING, VERIFY_EXTRA, VERIFY_DIFFERENT }; /* as seen from the shadow */

struct verify_mismatch {
    enum verify_difference difference;
    char *key; /* the key, written for people: "(1, abc)" */

    /*
     * key_count texts of the key in the source's types, by their output functions, as in the change stream.
     */
    char **key_values;
};

/*
 * The most entries that a result has, as long as their key texts fit into 16 MB; the others are only counted.
 */
#define VERIFY_MISMATCHES_KEPT 100000

/* Zero-initialise; release with verify_result_free(). */
struct verify_result {
    int64_t source_rows, shadow_rows;
    char hash[33]; /* of the source's rows */
    char shadow_hash[33];
    uint64_t mismatch_count; /* number of keys that differ */
    bool count_is_least;     /* more keys may differ: there were so many that not all were read */
    int key_count;
    int kept; /* entries of mismatches, in no particular order */
    struct verify_mismatch *mismatches;
};

struct verify_request {
    const struct plan *plan;
    const struct connection_options *connection;
    /* From pg_export_snapshot(); the caller keeps it open until verify_finish(). */
    const char *source_snapshot;
    const char *shadow_snapshot; /* may be the same snapshot */
    int workers;                 /* sessions, at least 1 */
    int64_t chunk_bytes;         /* approximate size of the part of a table that a worker reads at a time */
};

/*
 * The stored generated columns that are a reason why a row differs: the source's row with that key has
 * another value than their expression gives now. Each is named once. None where the row does not exist any
 * more.
 */
bool verify_stored_columns(struct session *s, const struct plan *plan, const struct verify_mismatch *mismatch,
                           struct string_list *columns, struct error *err);

struct verify; /* a comparison that runs */

/*
 * Starts the workers; verify_finish() reports a failure. The request and what it points to must outlive the
 * comparison. A stop request (core/stop.h) ends them too.
 */
struct verify *verify_start(const struct verify_request *request);

/*
 * How far the first reading is, 0 to 1; it does not change while differing buckets are read again. The rows
 * are those of both sides in the first reading. Thread-safe.
 */
double verify_progress(const struct verify *v);
int64_t verify_rows_read(const struct verify *v);
bool verify_done(const struct verify *v);

/*
 * Ask the workers to end at their next rows; verify_finish() then fails unless they had finished.
 * Thread-safe.
 */
void verify_cancel(struct verify *v);

/*
 * Waits, frees v, fills result (to be released also on failure). False when a worker failed: the connection,
 * an expression that fails on a row, a table rewritten or truncated since the snapshot (VERIFY_REWRITTEN), a
 * cancellation or a stop. That rows differ is no failure here.
 */
bool verify_finish(struct verify *v, struct verify_result *result, struct error *err);

/*
 * Compare the rows of a set of keys: those that the stream has touched since a full comparison.
 *
 * keys_table_sql is the quoted name of a table that this session sees, usually a temporary one, with columns
 * k1 … kN of
 * the types of plan->key. A key that neither side has is equal; a key may be there twice. A transaction must
 * be open in
 * which both tables do not change: REPEATABLE READ, or with locks against writers. After an error it is
 * aborted. A few
 * keys cost a few index look-ups on each side, a million keys some seconds. Each side needs an index that
 * begins with
 * the key. result->source_rows and shadow_rows count the rows found.
 *
 * The session must have been prepared. From then on it looks up rows by index, beginning with the keys,
 * whatever the
 * statistics of the new keys table say. A hash join would read both tables completely under the lock.
 */
bool verify_keys_prepare(struct session *s, struct error *err);
bool verify_keys(struct session *s, const struct plan *plan, const char *keys_table_sql,
                 struct verify_result *result, struct error *err);

void verify_result_free(struct verify_result *r);

#endif
