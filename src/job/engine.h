/* A job under way: what its phases share. Internal to the job. */
#ifndef PGRECAST_JOB_ENGINE_H
#define PGRECAST_JOB_ENGINE_H

#include "apply/apply.h"
#include "copy/copy.h"
#include "core/clock.h"
#include "cutover/cutover.h"
#include "job/job.h"
#include "job/state.h"
#include "spool/spool.h"
#include "stream/stream.h"
#include "verify/verify.h"

/* How a phase ended. */
enum step { STEP_FAILED, STEP_NEXT, STEP_LEAVE };

/* One table of the job. What is stored of it is in .job.tables, at the same position. */
struct engine_table {
    struct plan_table *plans;
    struct plan
        *plan; /* of the leg: what is followed, and what is kept in sync; NULL: nothing is (any more) */
    struct apply *apply;
    struct dirty *dirty; /* of an apply that was closed, for the next one of the same leg */
    struct copy_progress copied;
};

/* Since when locks have not been to be had. */
struct validate_patience {
    int64_t until_ms; /* by clock_ms(); 0: not so yet */
    struct backoff pauses;
};

struct engine {
    struct job_options options;
    struct job_report *report;
    struct plan_set *plans;
    int table_count;
    struct engine_table *tables; /* in the order in which they are locked; all of them go together */
    struct job_state job;
    bool entered;            /* the job's row exists and its lock is ours */
    struct session *control; /* state, markers, requests; never moves rows */
    struct spool *spool;
    struct stream *stream;
    struct session *applying; /* of all applies, which take turns; that of the swaps */
    struct progress progress;

    int64_t began_ms;
    int64_t tick_at_ms;
    lsn_t server_lsn;        /* insert position at the last tick */
    int64_t caught_up_at_ms; /* when the apply last reached the end of the stream */
    int64_t marker;          /* the last one written; those of an instance are above those of all before it */
    bool marker_sent;        /* one more, and its answer is still to come */
    bool sweep_needed;       /* see copy.h */
    bool proven;             /* parity is proven but for the dirty set, which is complete */
    bool confirm_held;       /* nothing is confirmed to the server: a swap may be near */
    uint64_t oldest_snapshot; /* transactions before it may see the shadow incomplete */
    int64_t window_ends_ms;   /* by clock_ms(), of the rollback window; INT64_MAX: it does not end */
    int64_t blocked_shown;    /* rows set aside, when that was last logged */
    int64_t retried_at_ms;

    /* requests read from the job's row */
    bool cutover_requested;
    bool rollback_requested;
    bool remap_requested; /* with it: how values go back is to change before */
    bool abort_requested;
    enum { FINISH_NOT, FINISH_DROP, FINISH_KEEP } finish_requested;
    bool released;
    bool held; /* where a test wanted it: once is enough */
    int verify_requested;
    int verify_answered;

    struct parallel *validation;                /* of one constraint, after a swap; see validate.h … */
    char *validating;                           /* its text */
    int validated;                              /* … and how many are done with, … */
    int validate_failed;                        /* … of these so many in vain */
    struct validate_patience validate_patience; /* with the one at hand, that does not get its locks */
    int64_t validate_at_ms;                     /* not before */
    int validate_told_leg;                      /* in this one it was told that all are done; 0: in none */

    bool rollback_only; /* this run ends with the rollback, or with why there is none */
    enum job_phase next;
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

/* The tables are made known to the engine; the plans are its own from now on. */
void engine_set_plans(struct engine *e, struct plan_set *plans);

/* The leg has something to follow. */
bool engine_follows(const struct engine *e);

/* The applies are open; what they are all told. */
bool engine_applies(const struct engine *e);
bool engine_at_boundary(const struct engine *e);
uint64_t engine_changes(const struct engine *e); /* row changes applied */
int64_t engine_blocked(const struct engine *e);  /* rows set aside */
int64_t engine_dirty_count(const struct engine *e);
bool engine_dirty_truncated(const struct engine *e);

/* Keys are known that were touched since all else was proven equal; they are forgotten. */
bool engine_has_dirty(const struct engine *e);
void engine_forget_dirty(struct engine *e);

/* What an error says of a row's key does not tell of which table the row is. */
void engine_name_table(const struct engine *e, const struct engine_table *t, struct error *err);

/* "s" for several tables. */
const char *engine_plural(const struct engine *e);

/* The tables are still defined as when the job began. ERROR_FAILED when one is not. */
bool engine_check_definition(struct engine *e, struct error *err);

/* Apply until no source transaction is written in part. */
bool engine_to_boundary(struct engine *e, struct error *err);

/* Write a marker into the log. Everything committed before it comes before it in the stream. */
bool engine_write_marker(struct engine *e, struct error *err);
/* The same in two halves, with nothing else asked of the control session in between. */
bool engine_send_marker(struct engine *e, struct error *err);
bool engine_await_marker(struct engine *e, struct error *err);

/*
 * Apply until the last marker is passed. Each table stands still where it has passed it, until all have: at
 * that place they are compared and swapped.
 */
bool engine_apply_to_marker(struct engine *e, struct error *err);

/* One step of each table that has not passed the last marker: with a deadline, under the cutover's lock. */
enum apply_outcome engine_drain(struct engine *e, struct error *err);
bool engine_passed_marker(const struct engine *e);

/* Both. tick: false under the cutover's lock, where nothing may wait. */
bool engine_sync(struct engine *e, struct error *err);

/* One apply step of each table; waits a little where there is nothing to do. Shows progress. */
bool engine_apply(struct engine *e, struct error *err);

/* The progress of the copy of all tables. */
void engine_show_copy(struct engine *e);

/* Whether old rows may carry numbers that look new to the copy: e->sweep_needed. */
bool engine_find_sweep_needed(struct engine *e, struct error *err);

/* Snapshots taken from here on see the shadow complete: the swap waits for older ones. */
bool engine_note_complete(struct engine *e, struct error *err);

/* Where a test wants the process to be killed (docs/testing.md). */
void engine_kill_point(const char *name);

/* The stages as far as the phase needs them: opened where they are not, from where the job's state stands. */
bool stages_open_stream(struct engine *e, struct error *err);
bool stages_open_apply(struct engine *e, struct error *err);
/* Closed, in order; what was verified so far is kept for a stages_open_apply() of the same leg. */
void stages_close(struct engine *e);

/* The directory of a leg's spool, which the caller frees; and whose spools they are. */
char *stages_spool_directory(const struct engine *e, int leg);
struct spool_identity stages_spool_identity(const struct engine *e, int timeline);

/* Bring a job from the database into the engine: its lock, its plans, what it needs of the server and the
 * spool. */
bool attach_job(struct engine *e, const char *name, struct error *err);
/* After a lost connection: try until it is there again or the time is over. */
bool attach_again(struct engine *e, struct error *err);
/* The plan of the leg becomes the engine's. */
void attach_leg(struct engine *e);
/* The engine's plan is told which table serves, and how that is defined: it was made before there was one. */
void attach_note_serving(struct engine *e);
/* The slot is gone or was invalidated: then err says so. */
bool attach_slot_lost(struct engine *e, struct error *err);
/* A job whose slot is gone, or whose table is another by now, can never go on: err says so. */
bool attach_hopeless(struct engine *e, struct error *err);

/* The phases. Each does its part and returns; e->next is the phase that follows. */
enum step phase_start(struct engine *e, struct error *err); /* publication, slot, barrier, stream, shadow */
enum step phase_copy(struct engine *e, struct error *err);
enum step phase_index(struct engine *e, struct error *err);
enum step phase_catchup(struct engine *e, struct error *err);
enum step phase_verify(struct engine *e, struct error *err);
enum step phase_ready(struct engine *e, struct error *err); /* stay in sync until the cutover may come */
enum step phase_cutover(struct engine *e, struct error *err);
enum step phase_follow(struct engine *e, struct error *err); /* after a swap, in either direction */

/* The swap of the leg: e->job is one leg further then, and the stages are closed. */
bool swap_tables(struct engine *e, enum job_phase next, struct error *err);
/* Rows are set aside: no rollback (ERROR_ROLLBACK), and which they are. */
bool follow_refuse_blocked(struct engine *e, struct error *err);

/*
 * The maps that were asked for with a rollback: planned with and stored, in the job's row only, or nothing
 * has changed and the result is NULL. Then in force: the apply goes on by that plan, which becomes the
 * engine's; rows not proven equal are written again and those set aside tried again. When that fails, the
 * stages are of no further use.
 */
struct plan_set *remap_plan(struct engine *e, struct error *err);
bool remap_enforce(struct engine *e, struct plan_set *made, struct error *err);

/* What was asked for while in sync: a verification. */
bool swap_answer_verify(struct engine *e, struct error *err);

/* Compare the dirty keys until few are left. */
bool parity_reduce_dirty(struct engine *e, struct error *err);
/* Just before the lock, under which every key that is left takes time: as few as the writes allow. */
bool parity_reduce_last(struct engine *e, struct error *err);
/* Under the lock: the rest of them. */
bool parity_check_dirty(struct engine *e, struct error *err);
/* A whole verification, from the snapshots to the verdict. */
bool parity_verify(struct engine *e, struct error *err);

#endif
