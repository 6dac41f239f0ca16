/* A job that runs: the state that its phases share. Internal to the job. */
#ifndef PGRECAST_JOB_ENGINE_H
#define PGRECAST_JOB_ENGINE_H

#include <jansson.h>

#include "apply/apply.h"
#include "copy/copy.h"
#include "core/clock.h"
#include "cutover/cutover.h"
#include "job/job.h"
#include "spool/spool.h"
#include "state/access.h"
#include "state/job.h"
#include "state/progress.h"
#include "state/request.h"
#include "stream/stream.h"
#include "verify/verify.h"

/* How a phase ended. */
enum step { STEP_FAILED, STEP_NEXT, STEP_LEAVE };

/* What the last check of a table has seen; see watch.h. */
struct watched {
    char *versions;   /* of the rows in the catalogs; NULL: not read yet */
    char *text;       /* what was changed, for people; NULL: nothing */
    json_t *changes;  /* what was changed, as JSON */
    char *indexes;    /* changes of indexes that do not hold the job, as they were last logged; NULL: none */
    bool not_carried; /* that change cannot be carried over */
    bool unbuilt;     /* indexes have to be built before it is carried over; see carry_index.h */
    bool renamed;     /* the job's statements do not find the table under its name */
    bool hopeless;    /* the rows of the table are not those that the job knows */
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
    bool looked;                       /* what the current try waits for was seen */
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
    int64_t watch_changed_ms; /* how long the last check was occupied with what had changed */
    int64_t watch_at_ms;      /* when to check next what others have changed; see watch.h */
    lsn_t server_lsn;         /* insert position of the server's log at the last tick */
    int64_t caught_up_at_ms;  /* when the apply last reached the end of the stream */
    /* Number of the last marker written; those of an instance are above those of all earlier instances. */
    int64_t marker;
    bool marker_sent;     /* one more marker was sent, and its answer is not read yet */
    bool slot_unreserved; /* the last check has found that the server may invalidate the slot */
    bool sweep_needed;    /* a sweep is needed after the copy; see copy.h */
    bool distrusted;      /* others may have written an inactive table; see inactive.h */
    bool repartitioned;   /* of what is distrusted, only the partitions of an active table; see inactive.h */
    /* Of the inactive tables, read before the comparison that restores trust in them. */
    struct string_list seals;
    int64_t inactive_at_ms;   /* time of the last check of the inactive tables; by clock_ms() */
    bool proven;              /* parity is proven except for the dirty keys, and the dirty set is complete */
    char *own;                /* objects that the job has made, see ledger_own(), as of the last swap */
    bool building;            /* indexes are built that are carried over: definitions are not compared */
    char **early_marks;       /* see early_fill(); NULL: not filled by this instance */
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
    struct waits *waits; /* see waits.h */

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

/*
 * Reads the definition of a table of the job, without the objects that the job itself has added to it. The caller
 * clears *out, also after a failure, if it was {0} before.
 */
bool engine_read_definition(struct engine *e, uint32_t oid, struct table_definition *out, struct error *err);

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

/* The process kills itself here if a test named this point (docs/testing.md). */
void engine_kill_point(const char *name);

#endif
