/* The records of jobs that have ended. */
#include "core/command.h"
#include "pg/params.h"
#include "state/job.h"
#include "statements.h"

bool
job_state_ended(const struct job_state *job, struct error *err)
{
    error_set(err, ERROR_FAILED, "job \"%s\" has ended: it is in phase %s", job->name,
              job_phase_name(job->phase));
    return error_hint(err, "Look at its record with: " COMMAND("status"), job->name);
}

/* Whether a job of that name has not ended. */
static bool
find_open(struct session *s, const char *name, bool *open, struct error *err)
{
    struct result res = {0};
    bool ok =
        session_query(s, &res, err, "SELECT FROM pgrecast.job WHERE name = $1 AND ended_at IS NULL", 1, name);

    *open = ok && result_rows(&res) > 0;
    result_free(&res);
    return ok;
}

bool
job_state_forget(struct session *s, const char *name, int64_t record, int64_t *count, struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    bool ok, open = false;

    params_text(&p, name);
    if (record > 0)
        params_int(&p, record);
    else
        params_text(&p, NULL);
    ok = session_row_with(s, &res, err, state_sql_job_forget, &p);
    *count = ok ? row_int(&res, 0, "count") : 0;
    result_free(&res);
    if (!ok || *count > 0)
        return ok;
    if (!find_open(s, name, &open, err))
        return false;
    if (open && record == 0) {
        error_set(err, ERROR_FAILED, "job \"%s\" has not ended, and there is no record of an earlier one",
                  name);
        return error_hint(err, "Look at it with: " COMMAND("status"), name);
    }
    return job_state_missing(name, record, err);
}
