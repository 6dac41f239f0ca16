/* A command that is given again: `run --or-resume`, `run --if-needed`, and `resume` of a job that has ended. */
#include <stdlib.h>

#include "again.h"
#include "core/command.h"
#include "core/log.h"
#include "core/mem.h"
#include "engine.h"
#include "state/earlier.h"

/* What `run --or-resume` has to do. */
enum again { AGAIN_FAILED, AGAIN_RUN, AGAIN_RESUME, AGAIN_DONE };

static enum again
refuse_other(const struct earlier_job *job, struct error *err)
{
    error_set(err, ERROR_REFUSED, "job \"%s\" has not ended, and it makes another change", job->name);
    error_hint(err, "See it with: " COMMAND("status") "; or name another job with --job.", job->name);
    return AGAIN_FAILED;
}

/* *name: the job to resume, or that has finished. The caller frees it. */
static enum again
find_again(const struct job_options *o, char **name, struct error *err)
{
    struct state_access access = {.connection = o->connection, .owner = o->state_owner};
    struct earlier_job job = {0};
    enum state_presence presence;
    struct session *s = state_open(&access, "control", &presence, err);
    enum again again = s != NULL ? AGAIN_RUN : AGAIN_FAILED;

    if (s != NULL && presence == STATE_CURRENT &&
        !earlier_find(s, o->name, o->plan.sql, o->plan.rebuild_table, &job, err))
        again = AGAIN_FAILED;
    else if (job.name != NULL && !job.ended)
        again = job.same ? AGAIN_RESUME : refuse_other(&job, err);
    else if (job.name != NULL && job.same && job.finished && o->plan.sql != NULL)
        again = AGAIN_DONE; /* a rebuild is worth the same again */
    *name = job.name;
    session_close(s);
    return again;
}

bool
job_run_or_resume(const struct job_options *options, struct job_report *report, struct error *err)
{
    struct job_options named = *options;
    char *name = NULL;
    bool ok = false;

    *report = (struct job_report){0};
    switch (find_again(options, &name, err)) {
    case AGAIN_FAILED:
        break;
    case AGAIN_RUN:
        ok = job_run(options, report, err);
        break;
    case AGAIN_RESUME:
        named.name = name;
        ok = job_resume(&named, report, err);
        break;
    case AGAIN_DONE:
        report->before = true;
        report->name = mem_strdup(name);
        ok = true;
        break;
    }
    free(name);
    return ok;
}

bool
again_finished(const struct engine *e, struct error *err)
{
    if (!e->job.ended || e->job.phase != PHASE_FINISHED)
        return false;
    error_clear(err);
    e->report->before = true;
    e->report->name = mem_strdup(e->job.name);
    e->report->outcome = job_is_reversed(&e->job) ? JOB_FINISHED : JOB_UNDONE;
    return true;
}

bool
again_not_needed(const struct engine *e)
{
    if (!e->options.if_needed || plan_set_is_needed(e->plans))
        return false;
    e->report->not_needed = plan_set_verdicts(e->plans);
    return true;
}
