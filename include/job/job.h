/*
 * One job from start to end: the phases in their order, the loop that runs beside them, and what remains when
 * something fails. The stages (stream, copy, apply, verify, cutover) do not use each other; this module joins
 * them.
 */
#ifndef PGRECAST_JOB_JOB_H
#define PGRECAST_JOB_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "control/progress.h"
#include "core/error.h"
#include "core/lsn.h"
#include "options/option.h"
#include "pg/session.h"
#include "plan/plan.h"
#include "state/access.h"
#include "state/progress.h"

/* Where a run ends although the job continues. */
enum job_exit { EXIT_AT_END, EXIT_IN_SYNC, EXIT_CUT_OVER };

#define WINDOW_UNTIL_FINISH (-1) /* a value of job_options.window_s */

/*
 * The values that the table below describes. The caller owns the texts, and frees them with options_free().
 */
struct job_options {
    const struct connection_options *connection;
    char *state_owner;        /* see state/access.h; NULL: the session's role owns the state */
    struct plan_options plan; /* for run; a rollback uses only the reverse maps */
    /* for run: nothing is done where PostgreSQL itself can make the change without an outage */
    bool if_needed;
    char *name; /* for run; NULL: the table's name */
    /*
     * The parent of the job's own directory; NULL: a default (run), or the directory that the job has
     * (resume).
     */
    char *spool_directory;
    enum progress_style progress;
    /* For resume: the inactive table may be dropped if the rollback window ended while no program ran. */
    bool finish_now;
    /* For how long to try again to reach a server whose connection was lost; 0: not at all. */
    int reconnect_s;

    /* Stored with the job, for the instance that resumes it. */
    int workers; /* parallel sessions of copy, index builds and verification */
    int64_t chunk_bytes;
    int lock_timeout_ms;
    int cutover_attempts;
    bool hold; /* stay in sync until a cutover is requested */
    bool verify;
    bool keep_original;  /* keep TABLE_pgrecast_old at the end */
    int start_timeout_s; /* how long to wait for transactions that were open when the job began */
    int64_t window_s;    /* how long a rollback is possible; 0: not at all; or WINDOW_UNTIL_FINISH */
    enum job_exit exit;
};

/*
 * The options of a job on the command line, with the limits and defaults of the values above. Two things are
 * not in this table: the connection, and the change, which may come from a file.
 */
extern const struct option_table job_option_table;

/* How a run ended. */
enum job_outcome {
    JOB_FINISHED, /* the new table is active, everything else is removed */
    JOB_UNDONE,   /* rolled back and finished: the original is active, everything else is removed */
    JOB_LEFT,     /* the run ended as .exit says, or after a rollback: `resume` continues the job */
};

/* What a job reports at the end of a run. */
struct job_report {
    bool before; /* the job had finished before: nothing was done; only .name and .outcome are set */
    /* if no job was started, as options.if_needed asks: what PostgreSQL itself does, as lines; else NULL */
    char *not_needed;
    enum job_outcome outcome;
    char *name;
    double seconds;
    int64_t rows;
    uint64_t changes_applied;
    bool verified;
    int64_t rows_verified;
    lsn_t verify_lsn;
    char hash[33];
    bool swapped; /* a swap was made in this run; the next members are about the last swap: */
    int cutover_attempts;
    double lock_wait_ms, lock_held_ms;
    bool reversed;     /* the new table is active, and stays so at the end of the run: */
    char *window_ends; /* until when a rollback is possible; NULL: until `finish` */
};

/*
 * Run a job from start to end. After a failure the job remains and can be resumed, and the error says so. A
 * job that can never continue, or that failed before a row was copied, is removed.
 */
bool job_run(const struct job_options *options, struct job_report *report, struct error *err);

/*
 * The same for a command that may be given again. If a job with the same statements (and with options->name, if
 * that is given) has not ended, it is resumed, with the options that are stored with it. If it has finished, nothing
 * is done. ERROR_REFUSED if the job of that name makes another change. A rebuild that has finished is done again.
 */
bool job_run_or_resume(const struct job_options *options, struct job_report *report, struct error *err);

/*
 * Continue a job that no instance is running. A job that has finished is no error: report->before.
 * ERROR_REFUSED with JOB_WINDOW_OVER (core/sqlstate.h): nothing was changed, because the rollback window of
 * the job is over, so that the job would now drop a table, and options->finish_now does not allow that.
 */
bool job_resume(const struct job_options *options, struct job_report *report, struct error *err);

/*
 * Roll back to the original: by the instance that runs the job (*running), or here where none runs; then the job is left.
 * ERROR_ROLLBACK where a rollback is not possible; the error says why. With
 * options->plan.reverse_maps these maps say how values are converted back. They hold from then on, also where
 * the rollback fails for another reason. ERROR_USAGE or ERROR_REFUSED where the maps are not valid; then
 * nothing was changed.
 */
bool job_rollback(const struct job_options *options, bool *running, struct job_report *report,
                  struct error *err);
void job_report_clear(struct job_report *report);

/*
 * Compare the room on the disk of the spool with what the job may need there. *text says both, for people; the
 * caller frees it. *enough: whether there is as much as the rate of changes up to now makes likely. ERROR_REFUSED
 * if there is less than the least that a spool needs, or if no directory can be made there.
 */
bool job_spool_space(struct session *s, const struct plan_set *plans, const struct job_options *o,
                     char **text, bool *enough, struct error *err);

/*
 * The checks of the server that `plan` and `run` make before anything is created: version, settings, free
 * slots, senders and sessions, rights. The detail of the error has all reasons. The session is an ordinary
 * one. *jobs (--jobs) is lowered where the server has too few sessions for so many.
 */
bool job_check_server(struct session *s, const struct connection_options *connection, int *jobs,
                      struct error *err);

/* ERROR_REFUSED where the server has too few free locks (max_locks_per_transaction) for the swap of the plans. */
bool job_check_locks(struct session *s, const struct plan_set *plans, struct error *err);

/*
 * Remove everything that a job has made, while the original is active. A running instance is asked to do it,
 * and the function waits for its end.
 */
bool job_abort(const struct state_access *access, const char *name, struct error *err);

/*
 * End a job after a swap: drop the inactive table (or keep it), and remove everything else that the job has
 * made. A running instance is asked to do it.
 */
bool job_finish(const struct state_access *access, const char *name, bool keep_original, struct error *err);

/*
 * Ask the running instance to cut over. With wait: until the cutover is done, with the figures and the end of
 * the rollback window in the report, or until it has failed: ERROR_LOCK or ERROR_PARITY, and the job stays in
 * sync.
 */
bool job_request_cutover(const struct state_access *access, const char *name, bool wait,
                         struct job_report *report, struct error *err);

/*
 * Ask the running instance to verify now, and wait for the answer. *out is also set when the verification
 * finds differences (ERROR_PARITY).
 */
bool job_request_verify(const struct state_access *access, const char *name, struct state_verification *out,
                        struct error *err);

#endif
