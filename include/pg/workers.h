/*
 * Workers: threads that each have a session of their own, for work that runs beside its caller or in several
 * sessions at once. They are started for a run and joined after it; a pool can have several runs.
 *
 * Only the first end of a run counts. It is the first failure of a worker, or a request (workers_end,
 * workers_cancel) that came before any failure. From then on workers_take() gives nothing, and errors of
 * other workers are dropped, because they are consequences. The end counts for all later runs of the pool
 * too, which start no thread.
 *
 * Ownership: during a run a session belongs to its worker's thread, between runs to the caller. A pool that
 * does not keep its sessions closes each of them when its worker ends. No session is closed while
 * workers_cancel() uses it.
 *
 * Refuses: to end a thread from outside. A worker ends when its work function returns. So a long work
 * function has to call workers_ending() now and then, or its statements are cancelled.
 */
#ifndef PGRECAST_PG_WORKERS_H
#define PGRECAST_PG_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "pg/session.h"

struct workers; /* opaque */

/* What is pointed to must outlive the pool. */
struct workers_options {
    int count; /* most workers of a run */
    const struct connection_options *connection;
    const char *purpose;  /* for session_open(); NULL: the workers have no session */
    bool evaluates;       /* its sessions are of kind SESSION_EVALUATION, else SESSION_SQL */
    const char *settings; /* statements that every new session begins with; NULL: none */
    bool keeps_sessions;  /* for the next run; otherwise a session is closed when its worker ends */
};

/*
 * The work of one worker of a run. number counts from 0. In a pool that keeps its sessions, the same number
 * has the same session in every run. False, with err set, ends the run.
 */
typedef bool (*workers_work)(void *arg, int number, struct session *session, struct error *err);

enum workers_outcome {
    WORKERS_DONE,
    WORKERS_ENDED,  /* by workers_end() or workers_cancel(); err is not set */
    WORKERS_FAILED, /* err has the first failure, of opening a session or of the work */
};

/* No run is in progress after this, as after workers_join(). */
struct workers *workers_new(const struct workers_options *options);

/* Closes the sessions. NULL-safe. Only while no run is in progress. */
void workers_free(struct workers *w);

/*
 * Start a run of the first count workers, each in its own thread, which opens a session if the worker has
 * none. items: how many numbers workers_take() hands out in this run. workers_join() reports failures.
 */
void workers_start(struct workers *w, int count, workers_work work, void *arg, int64_t items);

/*
 * For a worker: the next item of the run, from 0 on. False if there is none left, or if the run has to end.
 */
bool workers_take(struct workers *w, int64_t *item);

/* Thread-safe, also between runs: */
bool workers_ending(const struct workers *w);
bool
workers_done(const struct workers *w);  /* all work functions have returned: workers_join() does not wait */
bool workers_end(struct workers *w);    /* false where a failure or a request came before */
void workers_cancel(struct workers *w); /* end the run, and cancel the running statements; may be repeated */

/* Wait for the workers of the run. */
enum workers_outcome workers_join(struct workers *w, struct error *err);

/* The session that a worker has kept, between runs; NULL if it has not opened one. */
struct session *workers_session(const struct workers *w, int number);

#endif
