#include "state/progress.h"

#include "fence.h"
#include "statements.h"

/* A figure that this instance does not know is not changed. */
static void
add_known(struct params *p, bool known, int64_t value)
{
    if (known)
        params_int(p, value);
    else
        params_null(p);
}

static void
add_known_real(struct params *p, double value)
{
    if (value >= 0)
        params_real(p, value);
    else
        params_null(p);
}

bool
state_progress_write(struct session *s, const struct job_state *job, const struct state_progress *progress,
                     lsn_t *server_lsn, struct error *err)
{
    struct params p = fence_params(job);
    struct result res = {0};
    bool ok;

    add_known(&p, progress->copied, progress->rows_copied);
    params_int(&p, progress->rows_estimated);
    add_known(&p, progress->copied, progress->bytes_copied);
    add_known(&p, progress->copied, progress->bytes_total);
    params_int(&p, progress->changes_spooled);
    params_int(&p, progress->changes_applied);
    params_int(&p, progress->spool_bytes);
    add_known(&p, progress->lag_bytes >= 0, progress->lag_bytes);
    add_known_real(&p, progress->lag_seconds);
    add_known_real(&p, progress->eta_seconds);
    ok = fence_run(s, &res, err, state_sql_progress_write, &p);
    if (ok)
        *server_lsn = row_lsn(&res, 0, "server_lsn");
    result_free(&res);
    return ok;
}

bool
state_progress_waits(struct session *s, const struct job_state *job, const char *waits, bool *written,
                     struct error *err)
{
    struct params p = fence_params(job);
    struct result res = {0};
    bool ok;

    params_text(&p, waits);
    ok = session_query_with(s, &res, err, state_sql_progress_waits, &p);
    *written = ok && result_affected(&res) > 0;
    result_free(&res);
    return ok;
}

bool
state_progress_verified(struct session *s, const struct job_state *job, const struct state_verification *v,
                        struct error *err)
{
    struct params p = fence_params(job);

    params_lsn(&p, v->lsn);
    params_int(&p, v->rows);
    params_int(&p, v->mismatches);
    params_text(&p, v->hash);
    return fence_run(s, NULL, err, state_sql_progress_verified, &p);
}

bool
state_progress_swapped(struct session *s, const struct job_state *job, const struct state_swap_figures *f,
                       struct error *err)
{
    struct params p = fence_params(job);

    params_int(&p, f->attempts);
    params_real(&p, f->lock_wait_ms);
    params_real(&p, f->lock_held_ms);
    return fence_run(s, NULL, err, state_sql_progress_swapped, &p);
}
