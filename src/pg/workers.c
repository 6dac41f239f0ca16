#include "pg/workers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

struct worker {
    struct workers *pool;
    int number;
    bool started;
    pthread_t thread;
    struct session *session; /* belongs to the thread during a run, to the caller between two runs */
    /* the same session while the work function runs, else NULL; protected by the pool's lock */
    struct session *at_work;
};

struct workers {
    struct workers_options options;
    struct worker *workers;

    workers_work work; /* of the run; written before its threads start */
    void *arg;
    int64_t items;

    atomic_int_fast64_t next;
    atomic_int running;
    atomic_bool ending;
    pthread_mutex_t lock; /* protects the fields below, and .at_work of the workers */
    enum workers_outcome outcome;
    struct error error;
};

struct workers *
workers_new(const struct workers_options *options)
{
    struct workers *w = mem_alloc(sizeof(*w));

    w->options = *options;
    w->workers = mem_alloc((size_t)options->count * sizeof(*w->workers));
    for (int i = 0; i < options->count; i++)
        w->workers[i] = (struct worker){.pool = w, .number = i};
    pthread_mutex_init(&w->lock, NULL);
    return w;
}

void
workers_free(struct workers *w)
{
    if (w == NULL)
        return;
    for (int i = 0; i < w->options.count; i++)
        session_close(w->workers[i].session);
    pthread_mutex_destroy(&w->lock);
    error_clear(&w->error);
    free(w->workers);
    free(w);
}

/* Only the first end counts: false if there was one before. The error is cleared or moved. */
static bool
end_with(struct workers *w, enum workers_outcome outcome, struct error *err)
{
    bool first;

    pthread_mutex_lock(&w->lock);
    first = w->outcome == WORKERS_DONE;
    if (first) {
        w->outcome = outcome;
        error_move(&w->error, err);
    }
    atomic_store(&w->ending, true);
    pthread_mutex_unlock(&w->lock);
    error_clear(err);
    return first;
}

static void
session_drop(struct worker *worker)
{
    session_close(worker->session);
    worker->session = NULL;
}

static bool
open_session(struct worker *worker, struct error *err)
{
    const struct workers_options *options = &worker->pool->options;

    if (worker->session != NULL || options->purpose == NULL)
        return true;
    worker->session = session_open(options->connection, options->evaluates ? SESSION_EVALUATION : SESSION_SQL,
                                   options->purpose, err);
    if (worker->session == NULL)
        return false;
    if (options->settings == NULL || session_execute(worker->session, err, options->settings))
        return true;
    session_drop(worker);
    return false;
}

/* Make the session known to workers_cancel(), or withdraw it. */
static void
expose(struct worker *worker, struct session *s)
{
    pthread_mutex_lock(&worker->pool->lock);
    worker->at_work = s;
    pthread_mutex_unlock(&worker->pool->lock);
}

static void *
worker_main(void *arg)
{
    struct worker *worker = arg;
    struct workers *w = worker->pool;
    struct error err = {0};
    bool ok = open_session(worker, &err);

    if (ok) {
        expose(worker, worker->session);
        ok = w->work(w->arg, worker->number, worker->session, &err);
        expose(worker, NULL);
    }
    if (!ok)
        end_with(w, WORKERS_FAILED, &err);
    if (!w->options.keeps_sessions)
        session_drop(worker);
    error_clear(&err);
    atomic_fetch_sub(&w->running, 1);
    return NULL;
}

void
workers_start(struct workers *w, int count, workers_work work, void *arg, int64_t items)
{
    struct error err = {0};

    w->work = work;
    w->arg = arg;
    w->items = items;
    atomic_store(&w->next, 0);
    for (int i = 0; i < count && !workers_ending(w); i++) {
        struct worker *worker = &w->workers[i];
        int failure;

        atomic_fetch_add(&w->running, 1);
        failure = pthread_create(&worker->thread, NULL, worker_main, worker);
        worker->started = failure == 0;
        if (failure != 0) {
            atomic_fetch_sub(&w->running, 1);
            error_set(&err, ERROR_FAILED, "cannot start a thread: %s", strerror(failure));
            end_with(w, WORKERS_FAILED, &err);
        }
    }
}

bool
workers_take(struct workers *w, int64_t *item)
{
    if (workers_ending(w))
        return false;
    *item = atomic_fetch_add(&w->next, 1);
    return *item < w->items;
}

bool
workers_ending(const struct workers *w)
{
    return atomic_load(&w->ending);
}

bool
workers_done(const struct workers *w)
{
    return atomic_load(&w->running) == 0;
}

bool
workers_end(struct workers *w)
{
    return end_with(w, WORKERS_ENDED, &(struct error){0});
}

void
workers_cancel(struct workers *w)
{
    workers_end(w);
    /* a worker that is ending waits for this lock, so its session is not closed meanwhile */
    pthread_mutex_lock(&w->lock);
    for (int i = 0; i < w->options.count; i++) {
        if (w->workers[i].at_work != NULL)
            session_cancel(w->workers[i].at_work);
    }
    pthread_mutex_unlock(&w->lock);
}

enum workers_outcome
workers_join(struct workers *w, struct error *err)
{
    enum workers_outcome outcome;

    for (int i = 0; i < w->options.count; i++) {
        if (w->workers[i].started)
            pthread_join(w->workers[i].thread, NULL);
        w->workers[i].started = false;
    }
    pthread_mutex_lock(&w->lock);
    outcome = w->outcome;
    if (outcome == WORKERS_FAILED)
        error_move(err, &w->error);
    pthread_mutex_unlock(&w->lock);
    return outcome;
}

struct session *
workers_session(const struct workers *w, int number)
{
    return w->workers[number].session;
}
