/* What another process asks of a job: by its row where an instance runs it, by its ledger where none does. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "job/job.h"
#include "job/state.h"

#define POLL_MS 200

/* Open a session and read the job. The caller closes and clears both, also on failure. */
static struct session *
open_job(const struct connection_options *connection, const char *name, struct job_state *job,
         struct error *err)
{
    struct session *s = session_open(connection, SESSION_SQL, "control", err);
    struct result res = {0};
    bool ok;

    memset(job, 0, sizeof(*job));
    if (s == NULL)
        return NULL;
    ok = session_row(s, &res, err, "SELECT pg_catalog.to_regclass('pgrecast.job') IS NOT NULL", 0);
    if (ok && !result_bool(&res, 0, 0)) {
        ok = error_set(err, ERROR_USAGE, "there is no job \"%s\" in this database", name);
        error_hint(err, "List the jobs with: pgrecast jobs");
    }
    result_free(&res);
    if (ok && job_state_read(s, name, job, err))
        return s;
    session_close(s);
    return NULL;
}

bool
job_abort(const struct connection_options *connection, const char *name, struct error *err)
{
    struct job_state job;
    struct session *s = open_job(connection, name, &job, err);
    bool ok = s != NULL && job_state_lock(s, &job, err);

    if (ok && job.swapped && job.phase != PHASE_FINISHED) {
        ok = error_set(err, ERROR_FAILED, "job \"%s\" has cut over already", name);
        error_hint(err, "Complete it with: pgrecast finish %s", name);
    }
    if (ok && (job.phase == PHASE_FINISHED || job.phase == PHASE_ABORTED)) {
        log_info("job %s has ended already: nothing to remove", name);
    } else if (ok) {
        ok = ledger_undo(s, &job, err) && job_state_end(s, &job, PHASE_ABORTED, NULL, err);
        if (ok)
            log_info("job %s is aborted: everything it had made is removed, the table is untouched", name);
    }
    job_state_clear(&job);
    session_close(s);
    return ok;
}

bool
job_finish(const struct connection_options *connection, const char *name, bool keep_original,
           struct error *err)
{
    struct job_state job;
    struct session *s = open_job(connection, name, &job, err);
    bool ok = s != NULL && job_state_lock(s, &job, err);

    if (ok && !job.swapped) {
        ok = error_set(err, ERROR_FAILED, "job \"%s\" has not cut over: there is nothing to finish", name);
        error_hint(err, "Remove it with: pgrecast abort %s", name);
    }
    if (ok && keep_original) {
        struct result res = {0};

        ok = session_query(s, &res, err,
                           "DELETE FROM pgrecast.object WHERE job_id = (SELECT id FROM pgrecast.job "
                           "WHERE name = $1) AND kind = 'table'",
                           1, name);
        result_free(&res);
    }
    ok = ok && ledger_undo(s, &job, err) && job_state_end(s, &job, PHASE_FINISHED, NULL, err);
    if (ok)
        log_info("job %s is finished", name);
    job_state_clear(&job);
    session_close(s);
    return ok;
}

/* True when some instance holds the job's lock: then a request will be read. */
static bool
require_running(struct session *s, const struct job_state *job, struct error *err)
{
    struct result res = {0};
    char id[24];
    bool ok;

    snprintf(id, sizeof(id), "%" PRId64, job->id);
    ok = session_row(
        s, &res, err,
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND "
        "classid = 1885827683 AND objid = $1::pg_catalog.int8::pg_catalog.oid)",
        1, id);
    if (ok && !result_bool(&res, 0, 0)) {
        ok = error_set(err, ERROR_FAILED, "no instance is running job \"%s\" (it is in phase %s)", job->name,
                       job_phase_name(job->phase));
        error_hint(
            err, job->swapped ? "Complete it with: pgrecast finish %s" : "Remove it with: pgrecast abort %s",
            job->name);
    }
    result_free(&res);
    return ok;
}

bool
job_request_cutover(const struct connection_options *connection, const char *name, struct error *err)
{
    struct job_state job;
    struct session *s = open_job(connection, name, &job, err);
    bool ok = s != NULL && require_running(s, &job, err) &&
              session_query(s, NULL, err, "UPDATE pgrecast.job SET cutover_requested = true WHERE name = $1",
                            1, name);

    if (ok)
        log_info("job %s will cut over as soon as it is in sync", name);
    job_state_clear(&job);
    session_close(s);
    return ok;
}

static bool
await_answer(struct session *s, const struct job_state *job, const char *request,
             struct job_verification *out, struct error *err)
{
    for (;;) {
        struct result res = {0};
        bool ok = session_query(
            s, &res, err,
            "SELECT p.verify_lsn, p.verify_rows, p.verify_mismatches, p.verify_hash, "
            "j.ended_at IS NOT NULL, j.error FROM pgrecast.job AS j JOIN pgrecast.progress AS p "
            "ON p.job_id = j.id WHERE j.name = $1 AND (j.verify_answered >= $2 OR j.ended_at IS "
            "NOT NULL)",
            2, job->name, request);
        bool answered = ok && result_rows(&res) > 0;

        if (answered && (result_bool(&res, 0, 4) || result_null(&res, 0, 3)))
            ok = error_set(err, ERROR_PARITY, "the job has ended: %s",
                           result_null(&res, 0, 5) ? "without this verification" : result_text(&res, 0, 5));
        if (answered && ok) {
            out->lsn = result_lsn(&res, 0, 0);
            out->rows = result_int(&res, 0, 1);
            out->mismatches = result_int(&res, 0, 2);
            snprintf(out->hash, sizeof(out->hash), "%s", result_text(&res, 0, 3));
        }
        result_free(&res);
        if (!ok || answered)
            return ok;
        if (!require_running(s, job, err))
            return false;
        if (!clock_sleep(POLL_MS))
            return error_set(err, ERROR_FAILED, "stopped while waiting for the verification");
    }
}

bool
job_request_verify(const struct connection_options *connection, const char *name,
                   struct job_verification *out, struct error *err)
{
    struct job_state job;
    struct session *s = open_job(connection, name, &job, err);
    struct result res = {0};
    bool ok = s != NULL && require_running(s, &job, err) &&
              session_row(s, &res, err,
                          "UPDATE pgrecast.job SET verify_requested = verify_requested + 1 WHERE name = $1 "
                          "RETURNING verify_requested",
                          1, name);

    ok = ok && await_answer(s, &job, result_text(&res, 0, 0), out, err);
    result_free(&res);
    job_state_clear(&job);
    session_close(s);
    return ok;
}
