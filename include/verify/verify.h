/*
 * Compare source and shadow, each in a snapshot of its own that was exported at the same log position, in parallel,
 * in worker threads: the caller goes on applying meanwhile.
 *
 * Rows are read by block ranges in binary COPY and digested (verify/digest.h). Buckets that differ are read again,
 * to the keys. Nothing is repaired here.
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
    char *key;  /* the key for people: "(1, abc)" */
    char **key_values; /* plan->key_count texts as PostgreSQL prints them */
};

#define VERIFY_MISMATCHES_KEPT 100000 /* of more only the count is known; bounded memory */

struct verify_result {
    int64_t source_rows, shadow_rows;
    char hash[33];          /* of the source's rows */
    char shadow_hash[33];
    uint64_t mismatch_count; /* keys */
    int kept;                /* entries of mismatches */
    struct verify_mismatch *mismatches;
};

struct verify_request {
    const struct plan *plan;
    const struct connection_options *connection;
    const char *source_snapshot; /* of pg_export_snapshot(), kept open by the caller until verify_finish() */
    const char *shadow_snapshot;
    int workers; /* sessions, at least 1 */
    int64_t chunk_bytes; /* about how much of a table a worker reads at a time */
};

struct verify; /* a comparison under way */

/* Starts the workers. NULL on failure. The request's pointers must outlive it. */
struct verify *verify_start(const struct verify_request *request, struct error *err);

/* How far it is, 0 to 1; thread-safe. */
double verify_progress(const struct verify *v);
int64_t verify_rows_read(const struct verify *v); /* of both sides */
bool verify_done(const struct verify *v);

/* Ask the workers to end early; verify_finish() then fails. */
void verify_cancel(struct verify *v);

/* Waits, frees v, fills result (release with verify_result_free()). False when a worker failed. */
bool verify_finish(struct verify *v, struct verify_result *result, struct error *err);
void verify_result_free(struct verify_result *r);

#endif
