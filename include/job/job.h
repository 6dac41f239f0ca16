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

/* Where a run ends although the job does not. */
enum job_exit { EXIT_AT_END, EXIT_IN_SYNC, EXIT_CUT_OVER };

#define WINDOW_UNTIL_FINISH (-1) /* of job_options.window_s */

struct job_options {
    const struct connection_options *connection;
    struct plan_options plan;    /* run; of a rollback the reverse maps only */
    const char *name;            /* run: or NULL, the table's name */
    const char *spool_directory; /* the parent of the job's own directory, or NULL: a default, or as it was */
    enum progress_style progress;
    int reconnect_s; /* how long a server that went away is tried again; 0: not at all */

    /* Kept with the job, for whoever resumes it. */
    int workers; /* parallel sessions of copy, index builds and verification */
    int64_t chunk_bytes;
    int lock_timeout_ms;
    int cutover_attempts;
    bool hold; /* stay in sync until the cutover is asked for */
    bool verify;
    bool keep_original;  /* keep TABLE_pgrecast_old at the end */
    int start_timeout_s; /* how long to wait for transactions that were open when the job began */
    int64_t window_s;    /* how long a rollback is possible; 0: not at all, WINDOW_UNTIL_FINISH */
    enum job_exit exit;
};

/* How a run came to its end. */
enum job_outcome {
    JOB_FINISHED, /* the new table serves, everything else is removed */
    JOB_UNDONE,   /* rolled back and finished: the original serves, everything else is removed */
    JOB_LEFT,     /* as .exit says, or rolled back: the job goes on with resume */
};

/* What a job reports when it is done. */
struct job_report {
    enum job_outcome outcome;
    char *name;
    double seconds;
    int64_t rows;
    uint64_t changes_applied;
    bool verified;
    int64_t rows_verified;
    lsn_t verify_lsn;
    char hash[33];
    bool swapped; /* in this run; of the last swap: */
    int cutover_attempts;
    double lock_wait_ms, lock_held_ms;
};

/*
 * Do it all. On a failure the job stays as it is and can be resumed, and the error says so; what can never go
 * on, and what fails before a row is copied, is removed.
 */
bool job_run(const struct job_options *options, struct job_report *report, struct error *err);

/* Go on with a job that no instance is running. */
bool job_resume(const struct job_options *options, struct job_report *report, struct error *err);

/*
 * Bring the original back, in a running instance: ask it to and wait for its answer. *done is false where
 * there is none: then job_rollback() takes the job, rolls back, and leaves it. ERROR_ROLLBACK when it is not
 * possible, and why. With options->plan.reverse_maps values go back as these say, from then on and also where
 * the rollback fails for another reason; ERROR_USAGE or ERROR_REFUSED where they are not good, and nothing
 * has changed.
 */
bool job_request_rollback(const struct job_options *options, bool *done, struct job_report *report,
                          struct error *err);
bool job_rollback(const struct job_options *options, struct job_report *report, struct error *err);
void job_report_clear(struct job_report *report);

/*
 * The checks that `plan` and `run` make of the server before anything is created: version, settings, free
 * slots and senders, rights. All reasons are in the detail. The session is an ordinary one.
 */
bool job_check_server(struct session *s, const struct connection_options *connection, struct error *err);

/* Remove everything a job has made, while the original serves. A running instance is asked to and its end
 * awaited. */
bool job_abort(const struct connection_options *connection, const char *name, struct error *err);

/* End a job after a swap: drop the table that does not serve (or keep it), and the rest; in a running
 * instance likewise. */
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
