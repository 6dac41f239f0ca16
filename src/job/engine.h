/* A job under way: what its phases share. Internal to the job. */
#ifndef PGRECAST_JOB_ENGINE_H
#define PGRECAST_JOB_ENGINE_H

#include "apply/apply.h"
#include "copy/copy.h"
#include "cutover/cutover.h"
#include "job/job.h"
#include "job/state.h"
#include "spool/spool.h"
#include "stream/stream.h"
#include "verify/verify.h"

struct engine {
    const struct job_options *options;
    struct job_report *report;
    struct plan *plan;
    struct job_state job;
    bool entered;            /* the job's row exists: there may be something to undo */
    struct session *control; /* state, markers, requests; never moves rows */
    struct spool *spool;
    struct stream *stream;
    struct apply *apply;
    struct copy_progress copied;
    struct progress progress;

    int64_t began_ms;
    int64_t tick_at_ms;
    int64_t trimmed_at_ms;    /* when the spool was last trimmed */
    lsn_t server_lsn;         /* insert position at the last tick */
    int64_t caught_up_at_ms;  /* when the apply last reached the end of the stream */
    int64_t marker;           /* the last one written */
    bool sweep_needed;        /* see copy.h */
    uint64_t oldest_snapshot; /* transactions before it may see the shadow incomplete */

    /* requests read from the job's row */
    bool cutover_requested;
    bool released;
    int verify_requested;
    int verify_answered;

    struct cutover_report cutover;
};

/*
 * To be called often by whatever waits or loops: fails when the user asked to stop or the stream has failed;
 * about twice a second writes the progress and reads the requests.
 */
bool engine_tick(struct engine *e, struct error *err);

/* Sleep a little, then tick. */
bool engine_wait(struct engine *e, int ms, struct error *err);

/* Enter a phase: state, progress, and the stop that a test asked for. */
bool engine_phase(struct engine *e, enum job_phase phase, struct error *err);

/* How long the phase has lasted: in seconds (never 0), and as text. */
double engine_phase_seconds(const struct engine *e);
char *engine_phase_time(const struct engine *e, char out[32]);

/* The table is still defined as when the job began. ERROR_FAILED when it is not. */
bool engine_check_definition(struct engine *e, struct error *err);

/* Write a marker into the log. Everything committed before it comes before it in the stream. */
bool engine_write_marker(struct engine *e, struct error *err);

/* Apply until the last marker is passed. */
bool engine_apply_to_marker(struct engine *e, struct error *err);

/* Both. tick: false under the cutover's lock, where nothing may wait. */
bool engine_sync(struct engine *e, struct error *err);

/* One apply step; waits a little where there is nothing to do. Shows progress. */
bool engine_apply(struct engine *e, struct error *err);

/* The phases. Each does its part and returns. */
bool phase_start(struct engine *e, struct error *err); /* publication, slot, barrier, stream, shadow */
bool phase_copy(struct engine *e, struct error *err);
bool phase_index(struct engine *e, struct error *err);
bool phase_catchup(struct engine *e, struct error *err);
bool phase_verify(struct engine *e, struct error *err);
bool phase_ready(struct engine *e, struct error *err); /* stay in sync until the cutover may come */
bool phase_cutover(struct engine *e, struct error *err);

/* Compare the dirty keys until few are left. */
bool parity_reduce_dirty(struct engine *e, struct error *err);
/* Under the lock: the rest of them. */
bool parity_check_dirty(struct engine *e, struct error *err);
/* A whole verification, from the snapshots to the verdict. */
bool parity_verify(struct engine *e, struct error *err);

#endif
