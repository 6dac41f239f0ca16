#include "parallel.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "core/mem.h"
#include "pg/workers.h"

struct parallel {
    struct workers *workers;
    const char *const *sql;
    atomic_int finished;
};

static bool
parallel_run_statements(void *arg, int number, struct session *s, struct error *err)
{
    struct parallel *p = arg;
    int64_t at;

    (void)number;
    while (workers_take(p->workers, &at)) {
        if (!session_execute(s, err, p->sql[at]))
            return false;
        atomic_fetch_add(&p->finished, 1);
    }
    return true;
}

struct parallel *
parallel_start(const struct connection_options *connection, const char *purpose, const char *const *sql,
               int count, int workers)
{
    const struct workers_options options = {
        .count = workers < count ? workers : count,
        .connection = connection,
        .purpose = purpose,
        .evaluates = true,
        .settings = "SET synchronous_commit = off; SET client_min_messages = error",
    };
    struct parallel *p = mem_alloc(sizeof(*p));

    p->sql = sql;
    p->workers = workers_new(&options);
    workers_start(p->workers, options.count, parallel_run_statements, p, count);
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
    return workers_done(p->workers);
}

void
parallel_cancel(struct parallel *p)
{
    workers_cancel(p->workers);
}

bool
parallel_finish(struct parallel *p, struct error *err)
{
    bool ok = workers_join(p->workers, err) == WORKERS_DONE;

    workers_free(p->workers);
    free(p);
    return ok;
}
