/*
 * One job from start to end: the phases in their order, the loop that keeps them fed, and what is left when
 * something fails. The stages (stream, copy, apply, verify, cutover) do not know each other; this module
 * does.
 */
#ifndef PGRECAST_JOB_JOB_H
#define PGRECAST_JOB_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "control/progress.h"
#include "core/error.h"
#include "core/lsn.h"
#include "ddl/plan.h"
#include "pg/session.h"

struct job_options {
    const struct connection_options *connection;
    struct plan_options plan;
    const char *name; /* or NULL: the table's name */
    int workers;      /* parallel sessions of copy, index builds and verification */
    int64_t chunk_bytes;
    int lock_timeout_ms;
    int cutover_attempts;
    bool hold; /* stay in sync until the cutover is asked for */
    bool verify;
    bool keep_original;          /* keep TABLE_pgrecast_old at the end */
    int start_timeout_s;         /* how long to wait for transactions that were open when the job began */
    const char *spool_directory; /* the parent of the job's own directory, or NULL: a default */
    enum progress_style progress;
};

/* What a job reports when it is done. */
struct job_report {
    char *name;
    double seconds;
    int64_t rows;
    uint64_t changes_applied;
    bool verified;
    int64_t rows_verified;
    lsn_t verify_lsn;
    char hash[33];
    int cutover_attempts;
    double lock_wait_ms, lock_held_ms;
};

/* Do it all. On failure everything the job made is removed again where the server can be reached; the error
 * says so. */
bool job_run(const struct job_options *options, struct job_report *report, struct error *err);
void job_report_clear(struct job_report *report);

/*
 * The checks that `plan` and `run` make of the server before anything is created: version, settings, free
 * slots and senders, rights. All reasons are in the detail. The session is an ordinary one.
 */
bool job_check_server(struct session *s, const struct connection_options *connection, struct error *err);

/* Remove everything a job has made; before its cutover only. ERROR_FAILED while an instance is running it. */
bool job_abort(const struct connection_options *connection, const char *name, struct error *err);

/* End a job after its cutover: drop the original (or keep it), and the rest. */
bool job_finish(const struct connection_options *connection, const char *name, bool keep_original,
                struct error *err);

/* Ask the running instance to cut over, or to verify now; verify waits for the answer. */
bool job_request_cutover(const struct connection_options *connection, const char *name, struct error *err);

struct job_verification {
    lsn_t lsn;
    int64_t rows, mismatches;
    char hash[33];
};
bool job_request_verify(const struct connection_options *connection, const char *name,
                        struct job_verification *out, struct error *err);

#endif
