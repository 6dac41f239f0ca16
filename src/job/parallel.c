#include "parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/mem.h"

struct parallel {
    const struct connection_options *connection;
    const char *purpose;
    const char *const *sql;
    int count;
    atomic_int next;
    atomic_int finished;
    atomic_int running;
    atomic_int started;
    atomic_bool failed;
    pthread_mutex_t lock; /* of error and sessions */
    struct error error;
    struct session **sessions; /* of the workers, NULL before and after their work */
    int worker_count;
    pthread_t *workers;
};

static void
fail(struct parallel *p, struct error *err)
{
    pthread_mutex_lock(&p->lock);
    if (!atomic_exchange(&p->failed, true))
        error_move(&p->error, err);
    pthread_mutex_unlock(&p->lock);
}

static bool
work(struct parallel *p, struct session *s, struct error *err)
{
    if (!session_execute(s, err, "SET synchronous_commit = off; SET client_min_messages = error"))
        return false;
    for (;;) {
        int at = atomic_fetch_add(&p->next, 1);

        if (at >= p->count || atomic_load(&p->failed))
            return true;
        if (!session_execute(s, err, p->sql[at]))
            return false;
        atomic_fetch_add(&p->finished, 1);
    }
}

/* Make the session known to parallel_cancel(), or no longer. */
static void
expose(struct parallel *p, int at, struct session *s)
{
    pthread_mutex_lock(&p->lock);
    p->sessions[at] = s;
    pthread_mutex_unlock(&p->lock);
}

static void *
worker_main(void *arg)
{
    struct parallel *p = arg;
    struct error err = {0};
    struct session *s = session_open(p->connection, SESSION_SQL, p->purpose, &err);
    int at = atomic_fetch_add(&p->started, 1);

    expose(p, at, s);
    if (s == NULL || !work(p, s, &err))
        fail(p, &err);
    expose(p, at, NULL);
    session_close(s);
    error_clear(&err);
    atomic_fetch_sub(&p->running, 1);
    return NULL;
}

struct parallel *
parallel_start(const struct connection_options *connection, const char *purpose, const char *const *sql,
               int count, int workers)
{
    struct parallel *p = mem_alloc(sizeof(*p));

    p->connection = connection;
    p->purpose = purpose;
    p->sql = sql;
    p->count = count;
    pthread_mutex_init(&p->lock, NULL);
    p->workers = mem_array(NULL, (size_t)workers, sizeof(*p->workers));
    p->sessions = mem_alloc((size_t)workers * sizeof(*p->sessions));
    for (; p->worker_count < workers && p->worker_count < count; p->worker_count++) {
        atomic_fetch_add(&p->running, 1);
        if (pthread_create(&p->workers[p->worker_count], NULL, worker_main, p) != 0) {
            struct error err = {0};

            atomic_fetch_sub(&p->running, 1);
            error_set(&err, ERROR_FAILED, "cannot start a thread");
            fail(p, &err);
            error_clear(&err);
            break;
        }
    }
    return p;
}

int
parallel_finished(const struct parallel *p)
{
    return atomic_load(&p->finished);
}

bool
parallel_done(const struct parallel *p)
{
    return atomic_load(&p->running) == 0;
}

void
parallel_cancel(struct parallel *p)
{
    atomic_store(&p->failed, true);
    pthread_mutex_lock(&p->lock);
    for (int i = 0; i < p->worker_count; i++) {
        if (p->sessions[i] != NULL)
            session_cancel(p->sessions[i]);
    }
    pthread_mutex_unlock(&p->lock);
}

bool
parallel_finish(struct parallel *p, struct error *err)
{
    bool ok;

    for (int i = 0; i < p->worker_count; i++)
        pthread_join(p->workers[i], NULL);
    ok = !atomic_load(&p->failed);
    if (!ok)
        error_move(err, &p->error);
    pthread_mutex_destroy(&p->lock);
    error_clear(&p->error);
    free(p->sessions);
    free(p->workers);
    free(p);
    return ok;
}
