/* A job that runs: the state that its phases share. Internal to the job. */
#ifndef PGRECAST_JOB_ENGINE_H
#define PGRECAST_JOB_ENGINE_H

#include <jansson.h>

#include "apply/apply.h"
#include "copy/copy.h"
#include "core/clock.h"
#include "cutover/cutover.h"
#include "job/job.h"
#include "state/access.h"
#include "state/job.h"
#include "state/progress.h"
#include "state/request.h"
#include "spool/spool.h"
#include "stream/stream.h"
#include "verify/verify.h"

/* How a phase ended. */
enum step { STEP_FAILED, STEP_NEXT, STEP_LEAVE };

/* What the last check of a table has seen; see watch.h. */
struct watched {
    char *versions;  /* of the rows in the catalogs; NULL: not read yet */
    char *text;      /* what was changed, for people; NULL: nothing */
    json_t *changes; /* what was changed, as JSON */
    char *indexes;   /* changes of indexes that do not hold the job, as they were last logged; NULL: none */
    bool renamed;    /* the job's statements do not find the table under its name */
    bool hopeless;   /* the rows of the table are not those that the job knows */
};

/* One table of the job. Its stored part is in .job.tables, at the same index. */
struct engine_table {
    struct plan_table *plans;
    /*
     * The plan of the current direction: which table is followed, and which is kept in sync; NULL: changes
     * are not followed.
     */
    struct plan *plan;
    struct apply *apply;
    /* The dirty set of an apply that was closed, for the next apply of the same direction. */
    struct dirty *dirty;
    struct copy_progress copied;
    struct watched active, inactive;
};

/* For how long a lock has been refused. */
struct validate_patience {
    int64_t until_ms; /* when to give up, by clock_ms(); 0: no lock is refused now */
    struct backoff pauses;
};

/* The validation of the constraints that a swap could only add as NOT VALID; see validate.h. */
struct validate_state {
    struct parallel *running;          /* the statement that runs, or NULL */
    char *text;                        /* the text of that statement */
    int done;                          /* how many constraints are done, with success or not */
    int failed;                        /* how many of these failed */
    struct validate_patience patience; /* for the current constraint, while its locks are refused */
    int64_t at_ms;                     /* do not start the next one before this time; by clock_ms() */
    /* The number of swaps for which the log says that all are done; 0: none. */
    int reported;
};

struct engine {
    struct job_options options; /* .connection is the member below */
    struct connection_options connection;
    struct session_settings settings; /* of the job; also in .connection as soon as they are known */
    struct job_report *report;
    struct plan_set *plans;
    int table_count;
    struct engine_table *tables; /* in the order in which they are locked; all are swapped together */
    struct job_state job;
    bool entered; /* the job's row exists, and this process holds the job's lock */
    struct state_access access;
    struct session *control; /* for state, markers and requests; never moves rows */
    struct spool *spool;
    struct stream *stream;
    struct session *applying; /* for all applies, which take turns, and for the swaps */
    struct progress progress;

    int64_t began_ms;
    int64_t tick_at_ms;
    int64_t watch_at_ms;     /* when to check next what others have changed; see watch.h */
    lsn_t server_lsn;        /* insert position of the server's log at the last tick */
    int64_t caught_up_at_ms; /* when the apply last reached the end of the stream */
    /* Number of the last marker written; those of an instance are above those of all earlier instances. */
    int64_t marker;
    bool marker_sent;     /* one more marker was sent, and its answer is not read yet */
    bool slot_unreserved; /* the last check has found that the server may invalidate the slot */
    bool sweep_needed;    /* a sweep is needed after the copy; see copy.h */
    bool distrusted;      /* others may have written an inactive table; see inactive.h */
    /* Of the inactive tables, read before the comparison that restores trust in them. */
    struct string_list seals;
    int64_t inactive_at_ms;   /* time of the last check of the inactive tables; by clock_ms() */
    bool proven;              /* parity is proven except for the dirty keys, and the dirty set is complete */
    char *own;                /* objects that the job has made, see ledger_own(), as of the last swap */
    bool swap_held;           /* the last attempt to swap was refused because the job is held */
    bool confirm_held;        /* no position is confirmed to the server, because a swap may follow */
    uint64_t oldest_snapshot; /* snapshots of transactions with a lower id may see the shadow incomplete */
    int64_t blocked_shown;    /* number of rows set aside when it was last logged */
    int64_t retried_at_ms;

    struct engine_requests {
        struct request_list open; /* requests that were not answered at the last tick */
        int64_t remapped;         /* id of the rollback request whose maps are in force already; 0: none */
        bool released;            /* a test has released the hold */
        bool held;                /* the job was held once where a test wanted it; it is not held again */
    } requests;
    struct state_verification verification; /* the last verification that was completed */
    /*
     * The differences that the last verification found; empty: none. They refuse a swap until a verification
     * finds none.
     */
    struct error unequal;

    struct validate_state validation;

    struct engine_window {
        /* The end of the rollback window, by clock_ms() and by the wall clock; INT64_MAX: never. */
        int64_t ends_ms, ends_wall_ms;
        int64_t seen_ms, seen_wall_ms; /* when the clocks were last read */
        /* The window ended while nobody could ask for a rollback: the inactive table stays. */
        bool missed;
    } window;

    struct engine_lost {
        /* By clock_ms(): when the first of several connections in a row was lost. */
        int64_t since_ms;
        int64_t back_ms; /* when a connection was last restored */
        struct backoff backoff;
    } lost;

    bool rollback_only; /* this run ends after the rollback, or with the reason why there is none */
    enum job_phase next;
    struct cutover_report cutover;
    /* Attempts to cut over that ended with a lost connection, since the cutover phase began. */
    int attempts_lost;
};

/*
 * To be called often by every function that waits or loops. Fails when the user asked to stop or when the
 * stream has failed. Writes the progress and reads the requests about twice a second.
 */
bool engine_tick(struct engine *e, struct error *err);

/* Sleep for ms milliseconds, then tick. */
bool engine_wait(struct engine *e, int ms, struct error *err);

/* Enter a phase: writes it to the state, starts its progress, and stops there if a test asked for it. */
bool engine_phase(struct engine *e, enum job_phase phase, struct error *err);

/* How long the phase has lasted: in seconds (never 0), and as text. */
double engine_phase_seconds(const struct engine *e);
char *engine_phase_time(const struct engine *e, char out[32]);

/* Gives the plans to the engine, which owns them from now on, and sets up its tables. */
void engine_set_plans(struct engine *e, struct plan_set *plans);

/* True where the job has changes to follow. */
bool engine_follows(const struct engine *e);

/* True where the applies are open; below, figures of all of them together. */
bool engine_applies(const struct engine *e);
bool engine_at_boundary(const struct engine *e);
uint64_t engine_changes(const struct engine *e); /* row changes applied */
int64_t engine_blocked(const struct engine *e);  /* rows set aside */
int64_t engine_dirty_count(const struct engine *e);
bool engine_dirty_truncated(const struct engine *e);

/*
 * True where closed applies have left their dirty sets: the keys touched since all else was proven equal.
 * engine_forget_dirty() discards them.
 */
bool engine_has_dirty(const struct engine *e);
void engine_forget_dirty(struct engine *e);

/* Adds the table's name to an error about a row: the key alone does not say of which table the row is. */
void engine_name_table(const struct engine *e, const struct engine_table *t, struct error *err);

/* "s" where the job has several tables, otherwise "". */
const char *engine_plural(const struct engine *e);

/* Checks that the tables are still defined as when the job began. ERROR_FAILED where one is not. */
bool engine_check_definition(struct engine *e, struct error *err);

/* Apply until no source transaction is written in part. */
bool engine_to_boundary(struct engine *e, struct error *err);

/* Write a marker into the log. Everything committed before it comes before it in the stream. */
bool engine_write_marker(struct engine *e, struct error *err);
/* The same in two steps. Between them the control session must not be used for anything else. */
bool engine_send_marker(struct engine *e, struct error *err);
bool engine_await_marker(struct engine *e, struct error *err);

/*
 * Apply until every table has passed the last marker. Each table stops where it has passed the marker, until
 * all have: at that point they are compared and swapped.
 */
bool engine_apply_to_marker(struct engine *e, struct error *err);

/*
 * One step of each table that has not passed the last marker, with a deadline, under the cutover's lock; then
 * whether all tables have passed it.
 */
enum apply_outcome engine_drain(struct engine *e, struct error *err);
bool engine_passed_marker(const struct engine *e);

/*
 * Write a marker, and apply until it is passed. Not for use under the cutover's lock, where nothing may wait.
 */
bool engine_sync(struct engine *e, struct error *err);

/* One apply step of each table; waits briefly where there is nothing to do. Shows progress. */
bool engine_apply(struct engine *e, struct error *err);

/* The progress of the copy of all tables. */
void engine_show_copy(struct engine *e);

/* Sets e->sweep_needed: whether old rows may carry transaction numbers that look new to the copy. */
bool engine_find_sweep_needed(struct engine *e, struct error *err);

/*
 * To be called when the shadow is complete. Snapshots taken from now on see it complete; the swap waits for
 * the end of older ones.
 */
bool engine_note_complete(struct engine *e, struct error *err);

/* The process kills itself here if a test named this point (docs/testing.md). */
void engine_kill_point(const char *name);

/* Open the stages that the phase needs, where they are not open yet, from the position in the job's state. */
bool stages_open_stream(struct engine *e, struct error *err);
bool stages_open_apply(struct engine *e, struct error *err);
/*
 * Close the stages, in order. What was verified so far is kept for the next stages_open_apply() of the same
 * direction.
 */
void stages_close(struct engine *e);

/*
 * The spool's directory of the direction that begins after so many swaps; the caller frees it. Then: the
 * identity of the spools, by which it is recognized to whom they belong.
 */
char *stages_spool_directory(const struct engine *e, int swaps);
struct spool_identity stages_spool_identity(const struct engine *e, int timeline);

/*
 * Load a job from the database into the engine: take its lock, read its plans, check what it needs of the
 * server and the spool.
 */
/* A run that ends as exit says must not leave a slot that holds the log without a limit: ERROR_REFUSED. */
bool job_check_left_alone(struct engine *e, enum job_exit exit, struct error *err);

bool attach_job(struct engine *e, const char *name, struct error *err);

/* After attach_job() has failed: whether the job has finished, so that there is nothing to resume. Fills the report. */
bool again_finished(const struct engine *e, struct error *err);

/* For --if-needed: whether nothing has to be done. Fills the report. */
bool again_not_needed(const struct engine *e);

/*
 * Adopt the settings stored with the job for all its sessions, from now on. stored NULL: take the settings of
 * the control session.
 */
bool attach_settings(struct engine *e, const char *stored, struct error *err);
/* After a lost connection: try to attach again until it succeeds or the time is over. */
bool attach_again(struct engine *e, struct error *err);
/* Make the plan of the current direction the engine's. */
void attach_direction(struct engine *e);
/* Set in the engine's plans which table is active now: the plans were made before the new table existed. */
void attach_note_active(struct engine *e);
/* True where the slot is gone or was invalidated, or a publication was changed; err says which. */
bool attach_stream_lost(struct engine *e, struct error *err);
/*
 * True where the job can never continue, because its slot is gone or because its table is another one now;
 * err says which.
 */
bool attach_hopeless(struct engine *e, struct error *err);

/*
 * The rollback window (window.c): set from the job's row; checked at each tick; set again after a lost
 * connection.
 */
void window_ask(struct engine *e); /* call it just before the job's row is read */
void window_begin(struct engine *e);
void window_look(struct engine *e);
#define WINDOW_STOOD_STILL "while this program, or its machine, stood still"
/* The window may have ended before it was begun here (after a swap, after a lost connection): then the table stays. */
void window_check_passed(struct engine *e, const char *meanwhile);
/* True where the window has ended while this program ran, so that the inactive table may be dropped. */
bool window_is_over(struct engine *e);
/*
 * ERROR_REFUSED, JOB_WINDOW_OVER: the window ended while no program ran, and the user has not allowed to drop
 * the table.
 */
bool window_check_resume(const struct engine *e, struct error *err);

/* The phases. Each does its work and returns; e->next is the phase that follows. */
enum step phase_start(struct engine *e, struct error *err); /* publications, slot, barrier, stream, shadow */
enum step phase_copy(struct engine *e, struct error *err);
enum step phase_index(struct engine *e, struct error *err);
enum step phase_catchup(struct engine *e, struct error *err);
enum step phase_verify(struct engine *e, struct error *err);
enum step phase_ready(struct engine *e, struct error *err); /* stays in sync until the cutover may begin */
enum step phase_cutover(struct engine *e, struct error *err);
enum step phase_follow(struct engine *e, struct error *err); /* after a swap, in either direction */

/* The swap of the current direction. After it e->job has one more swap, and the stages are closed. */
bool swap_tables(struct engine *e, enum job_phase next, struct error *err);
/* Refuses a rollback while rows are set aside (ERROR_ROLLBACK), and names the rows. */
bool follow_refuse_blocked(struct engine *e, struct error *err);

/*
 * The maps that were given with a rollback request. remap_plan() plans with them and stores the plans, in the
 * state only; where it fails the result is NULL and nothing was changed. remap_enforce() puts the plans in
 * force: they become the engine's, the apply continues with them, rows that are not proven equal are written
 * again, and rows set aside are tried again. After its failure the stages cannot be used any more.
 */
struct plan_set *remap_plan(struct engine *e, struct error *err);
bool remap_enforce(struct engine *e, struct plan_set *made, struct error *err);

/* Carry out the verifications that were requested while the job is in sync. */
bool swap_answer_verify(struct engine *e, struct error *err);

/*
 * Requests (requests.c). Requests of one kind with the same arguments as the oldest of that kind are carried
 * out as one.
 */
bool requests_read(struct engine *e, struct error *err); /* answers at once what can never be carried out */
bool requests_ask(struct engine *e, enum request_kind kind, const char *arguments,
                  struct error *err); /* a request that the job makes itself */
bool requests_any(const struct engine *e, enum request_kind kind);
char *requests_ids(const struct engine *e, enum request_kind kind); /* the caller frees it */
/* NULL: no request of that kind. */
const char *requests_arguments(const struct engine *e, enum request_kind kind);
/*
 * True where a rollback request has maps that are not in force yet: they must be put in force before the
 * rollback.
 */
bool requests_remap(const struct engine *e);
/* Answer the requests: carried out (reason NULL), or not, for that reason. result: JSON or NULL. */
bool requests_answer(struct engine *e, enum request_kind kind, const struct error *reason, const char *result,
                     struct error *err);
/* Answer the requests with these ids; some may have been answered or withdrawn already. */
bool requests_answer_ids(struct engine *e, const char *ids, const struct error *reason, const char *result,
                         struct error *err);
/*
 * The process ends: answer the open requests that nobody will carry them out, and why, if the server can be
 * reached.
 */
void requests_give_up(struct engine *e, const struct error *reason);

/* Compare the dirty keys until few are left. */
bool parity_reduce_dirty(struct engine *e, struct error *err);
/*
 * The same just before the lock, because every dirty key that is left takes time under it. Continues to the
 * smallest number that the rate of writes allows.
 */
bool parity_reduce_last(struct engine *e, struct error *err);
/* Under the lock: compare the remaining dirty keys. */
bool parity_check_dirty(struct engine *e, struct error *err);
/*
 * A whole verification, from the snapshots to the result. ERROR_PARITY: it found differences, which are noted
 * in e->unequal, and the job can continue.
 */
bool parity_verify(struct engine *e, struct error *err);

/*
 * How differences are handled (unequal.c). Note them in the engine; take over those that the previous
 * instance has noted.
 */
void unequal_note(struct engine *e, const struct error *found);
void unequal_take_job(struct engine *e);
/*
 * A verification that the job makes without a request: differences are noted and logged, and the job
 * continues. It is not made where differences are known already.
 */
bool unequal_verify(struct engine *e, struct error *err);
/* ERROR_PARITY where differences are known. */
bool unequal_refuse_swap(const struct engine *e, struct error *err);
/* Sets the hint of such an error, for a job that continues. Returns false. */
bool unequal_hint(const struct engine *e, struct error *err);

#endif
