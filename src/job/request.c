/* What another process asks of a job: by its row where an instance runs it, by its ledger where none does. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/status.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "ending.h"
#include "job/job.h"
#include "job/state.h"
#include "options.h"
#include "validate.h"

#define POLL_MS 200
#define LOCK_SOON_MS 5000   /* a session that has just been closed still holds its lock */
#define READY_SOON_MS 30000 /* what the last instance had under way is ended before another begins */

/*
 * Open a session and read the job. The caller closes and clears both, also on failure. A job of another
 * format: the session, and the error too.
 */
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
    /* A request must not wait for a standby that is away: the instance would not see it. */
    ok = session_execute(s, err, "SET synchronous_commit = local") &&
         session_row(s, &res, err, "SELECT pg_catalog.to_regclass('pgrecast.job') IS NOT NULL", 0);
    if (ok && !result_bool(&res, 0, 0)) {
        ok = error_set(err, ERROR_USAGE, "there is no job \"%s\" in this database", name);
        error_hint(err, "List the jobs with: pgrecast jobs");
    }
    result_free(&res);
    if (ok && (job_state_read(s, name, job, err) || strcmp(err->sqlstate, JOB_OTHER_FORMAT) == 0))
        return s;
    session_close(s);
    return NULL;
}

static bool
find_locks(struct session *s, const struct job_state *job, bool *taken, bool *ready, struct error *err)
{
    struct result res = {0};
    char id[24], taken_class[16], ready_class[16];
    bool ok;

    snprintf(id, sizeof(id), "%" PRId64, job->id);
    snprintf(taken_class, sizeof(taken_class), "%d", JOB_LOCK_CLASS);
    snprintf(ready_class, sizeof(ready_class), "%d", JOB_READY_CLASS);
    ok = session_row(
        s, &res, err,
        "SELECT coalesce(bool_or(classid = $2::pg_catalog.int8::pg_catalog.oid), false), "
        "coalesce(bool_or(classid = $3::pg_catalog.int8::pg_catalog.oid), false) FROM pg_catalog.pg_locks "
        "WHERE locktype = 'advisory' AND granted AND objid = $1::pg_catalog.int8::pg_catalog.oid AND "
        "database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())",
        3, id, taken_class, ready_class);
    *taken = ok && result_bool(&res, 0, 0);
    *ready = ok && result_bool(&res, 0, 1);
    result_free(&res);
    return ok;
}

/* An instance that has just taken the job forgets what its predecessor was asked for: that is waited for. */
static bool
is_running(struct session *s, const struct job_state *job, bool *running, struct error *err)
{
    int64_t until = clock_ms() + READY_SOON_MS;
    bool ready, ok;

    do
        ok = find_locks(s, job, running, &ready, err);
    while (ok && *running && !ready && clock_ms() < until && clock_sleep(POLL_MS));
    return ok;
}

/* True when some instance holds the job's lock: then a request will be read. */
static bool
require_running(struct session *s, const struct job_state *job, struct error *err)
{
    bool running;

    if (!is_running(s, job, &running, err))
        return false;
    if (running)
        return true;
    error_set(err, ERROR_FAILED, "no instance is running job \"%s\" (it is in phase %s)", job->name,
              job_phase_name(job->phase));
    return error_hint(err, "Go on with: pgrecast resume %s", job->name);
}

/* What became of a request: one row when it is answered, or the job has ended. */
struct answer {
    bool ended;
    enum error_kind kind;
    char *text; /* why not, or NULL */
    char *hint; /* or NULL */
};

static void
answer_clear(struct answer *answer)
{
    free(answer->text);
    free(answer->hint);
    memset(answer, 0, sizeof(*answer));
}

/* Wait until an instance has answered; *answered is false when there is none (any more) that could. */
static bool
await_instance(struct session *s, const struct job_state *job, const char *pending, struct answer *answer,
               bool *answered, struct error *err)
{
    char *sql = mem_printf(
        "SELECT ended_at IS NOT NULL, answer_kind, answer, %s, answer_hint FROM pgrecast.job WHERE id = $1",
        pending);
    char id[24];
    bool ok = true, running = true;

    snprintf(id, sizeof(id), "%" PRId64, job->id);
    *answered = false;
    while (ok && running && !*answered) {
        struct result res = {0};

        ok = is_running(s, job, &running, err) && session_row(s, &res, err, sql, 1, id);
        if (ok && (result_bool(&res, 0, 0) || !result_bool(&res, 0, 3))) {
            *answered = true;
            answer->ended = result_bool(&res, 0, 0);
            answer->kind = (enum error_kind)result_int(&res, 0, 1);
            answer->text = mem_strdup(result_text(&res, 0, 2));
            answer->hint = mem_strdup(result_text(&res, 0, 4));
        }
        result_free(&res);
        if (ok && running && !*answered && !clock_sleep(POLL_MS)) {
            ok = error_set(err, ERROR_FAILED, "stopped while waiting for the instance that runs the job");
            err->stopped = true;
        }
    }
    free(sql);
    return ok;
}

/* Ask a running instance for something and wait. *answered is false when none runs. value: $2 of set, or
 * NULL.
 */
static bool
ask_instance_with(struct session *s, const struct job_state *job, const char *set, const char *value,
                  const char *pending, struct answer *answer, bool *answered, struct error *err)
{
    char *sql = mem_printf(
        "UPDATE pgrecast.job SET answer = NULL, answer_kind = NULL, answer_hint = NULL, %s WHERE id = $1",
        set);
    char id[24];
    bool running, ok = is_running(s, job, &running, err);

    snprintf(id, sizeof(id), "%" PRId64, job->id);
    *answered = false;
    if (ok && running)
        ok = session_query(s, NULL, err, sql, value != NULL ? 2 : 1, id, value) &&
             await_instance(s, job, pending, answer, answered, err);
    free(sql);
    return ok;
}

static bool
ask_instance(struct session *s, const struct job_state *job, const char *set, const char *pending,
             struct answer *answer, bool *answered, struct error *err)
{
    return ask_instance_with(s, job, set, NULL, pending, answer, answered, err);
}

static bool
ask_rollback(struct session *s, const struct job_state *job, const struct plan_options *plan,
             struct answer *answer, bool *answered, struct error *err)
{
    char *maps = NULL;
    bool ok = plan->reverse_map_count == 0 ||
              (maps = job_maps_write(plan->reverse_map_count, plan->reverse_maps, err)) != NULL;

    ok = ok && ask_instance_with(s, job,
                                 maps != NULL ? "rollback_requested = true, reverse_maps = $2"
                                              : "rollback_requested = true, reverse_maps = NULL",
                                 maps, "rollback_requested", answer, answered, err);
    free(maps);
    return ok;
}

static bool
take_answer(struct answer *answer, struct error *err)
{
    bool ok = answer->text == NULL;

    if (!ok) {
        char *detail = strchr(answer->text, '\n');

        if (detail != NULL)
            *detail++ = '\0';
        error_set(err, answer->kind, "%s", answer->text);
        if (detail != NULL)
            error_detail(err, "%s", detail);
        if (answer->hint != NULL)
            error_hint(err, "%s", answer->hint);
    }
    answer_clear(answer);
    return ok;
}

/* The lock of a job whose instance has just ended is free in a moment. */
static bool
lock_soon(struct session *s, const struct job_state *job, struct error *err)
{
    int64_t until = clock_ms() + LOCK_SOON_MS;

    while (!job_state_lock(s, job, err)) {
        if (strcmp(err->sqlstate, JOB_LOCKED) != 0 || clock_ms() > until || !clock_sleep(POLL_MS))
            return false;
        error_clear(err);
    }
    return true;
}

/* A job of another version: what it has made is in its ledger all the same, if it has not swapped. */
static bool
read_foreign(struct session *s, const char *name, struct job_state *job, struct error *err)
{
    struct result res = {0};
    bool ok;

    error_clear(err);
    ok = session_row(
        s, &res, err,
        "SELECT id, swapped_at IS NOT NULL, ended_at IS NOT NULL FROM pgrecast.job WHERE name = $1", 1, name);
    if (ok && result_bool(&res, 0, 1))
        ok = error_set(err, ERROR_FAILED,
                       "job \"%s\" was made by another version of pgrecast and has cut over: use that one",
                       name);
    if (ok) {
        job->id = result_int(&res, 0, 0);
        job->ended = result_bool(&res, 0, 2);
        job->name = mem_strdup(name);
    }
    result_free(&res);
    return ok;
}

/* What another process has made of the job meanwhile. */
static bool
read_again(struct session *s, struct job_state *job, struct error *err)
{
    struct job_state now;

    if (!job_state_read(s, job->name, &now, err))
        return false;
    job_state_clear(job);
    *job = now;
    return true;
}

/*
 * As an instance would: the lock, and what is left of the last one is ended and can write no more. A commit
 * it had under way may have gone through. A job that has ended is not taken.
 */
static bool
take_over(struct session *s, struct job_state *job, struct error *err)
{
    return lock_soon(s, job, err) && read_again(s, job, err) &&
           (job->ended ||
            (ending_orphans(s, job, err) && job_state_take(s, job, false, err) && read_again(s, job, err)));
}

static bool
refuse_turned(const struct job_state *job, struct error *err)
{
    if (job->ended || !job_is_turned(job))
        return true;
    error_set(err, ERROR_FAILED, "job \"%s\" has cut over: the new table serves", job->name);
    error_hint(err, "Go back with: pgrecast rollback %s; or keep the new table with: pgrecast finish %s",
               job->name, job->name);
    return false;
}

/* foreign: of another version, whose row cannot be read as ours. */
static bool
remove_all(struct session *s, struct job_state *job, bool foreign, struct error *err)
{
    if (foreign ? !lock_soon(s, job, err) : !take_over(s, job, err) || !refuse_turned(job, err))
        return false;
    return job->ended || (ledger_undo(s, job, err) && job_state_end(s, job, PHASE_ABORTED, NULL, err));
}

/* The job's state is gone, but not what it had made on the server. */
static bool
remove_orphans(const struct connection_options *connection, const char *name, struct error *err)
{
    struct error failed = {0};
    struct orphan_list list = {0};
    struct session *s = session_open(connection, SESSION_SQL, "control", &failed);
    bool ok = s != NULL && orphans_read(s, name, &list, &failed) && list.count > 0;

    for (int i = 0; ok && i < list.count; i++) {
        ok = session_execute(s, &failed, list.items[i].undo);
        if (ok)
            log_info("removed %s %s, which no job knew", list.items[i].kind, list.items[i].name);
    }
    if (ok)
        error_clear(err);
    else if (list.count > 0)
        error_move(err, &failed);
    error_clear(&failed);
    orphan_list_free(&list);
    session_close(s);
    return ok;
}

bool
job_abort(const struct connection_options *connection, const char *name, struct error *err)
{
    struct job_state job;
    struct answer answer = {0};
    bool answered = false, ended;
    struct session *s = open_job(connection, name, &job, err);
    bool foreign = s != NULL && err->message != NULL;
    bool ok = s != NULL && (!foreign || read_foreign(s, name, &job, err));

    if (s == NULL && err->kind == ERROR_USAGE)
        return remove_orphans(connection, name, err);
    ok = ok && refuse_turned(&job, err);
    ended = ok && job.ended;
    if (ok && !ended) /* the answer may be that it has cut over just before */
        ok = ask_instance(s, &job, "abort_requested = true", "abort_requested", &answer, &answered, err) &&
             (foreign || (read_again(s, &job, err) && refuse_turned(&job, err))) &&
             remove_all(s, &job, foreign, err);
    answer_clear(&answer);
    if (ok && ended)
        log_info("job %s has ended already: nothing to remove", name);
    else if (ok)
        log_info("job %s is aborted: everything it had made is removed, the table is untouched", name);
    job_state_clear(&job);
    session_close(s);
    return ok;
}

/* The request is gone from the job's row without a word: it is not done. */
static bool
not_taken_up(const struct job_state *job, struct error *err)
{
    error_set(err, ERROR_FAILED, "the request was not carried out: job \"%s\" is in phase %s", job->name,
              job_phase_name(job->phase));
    return error_hint(err, "Look at it with: pgrecast status %s; and ask again.", job->name);
}

/* What the last swap has left to validate. */
static bool
validate(struct session *s, const struct job_state *job, struct error *err)
{
    struct plan_set *plans = plan_set_read(job->plan, err);
    bool ok;

    if (plans == NULL) { /* of another version: it can be finished all the same */
        log_warning("foreign keys are not validated: %s", err->message);
        error_clear(err);
        return true;
    }
    ok = validate_here(s, plans, job->leg, err);
    plan_set_free(plans);
    return ok;
}

/* As a running instance would. */
static bool
finish_here(struct session *s, struct job_state *job, bool keep_original, struct error *err)
{
    struct job_options options = {0};

    if (!take_over(s, job, err))
        return false;
    if (job->ended)
        return job->phase == PHASE_FINISHED ||
               error_set(err, ERROR_FAILED, "job \"%s\" has ended: it is in phase %s", job->name,
                         job_phase_name(job->phase));
    if (!job_options_read(&options, job->options, err))
        return false;
    keep_original = keep_original || (options.keep_original && job_is_turned(job));
    return (ending_begin(s, job, keep_original, err) && validate(s, job, err) &&
            ending_finish(s, job, err)) ||
           ending_incomplete(job, err);
}

bool
job_finish(const struct connection_options *connection, const char *name, bool keep_original,
           struct error *err)
{
    struct job_state job;
    struct answer answer = {0};
    bool answered = false;
    struct session *s = open_job(connection, name, &job, err);
    bool ok = s != NULL && err->message == NULL;

    if (ok && job.ended && job.phase == PHASE_FINISHED) {
        log_info("job %s has ended already", name);
        goto out;
    }
    if (ok && job.leg == 0) {
        ok = error_set(err, ERROR_FAILED, "job \"%s\" has not cut over: there is nothing to finish", name);
        error_hint(err, "Remove it with: pgrecast abort %s", name);
    }
    ok =
        ok && ask_instance(s, &job, keep_original ? "finish_requested = 'keep'" : "finish_requested = 'drop'",
                           "finish_requested IS NOT NULL", &answer, &answered, err);
    if (ok && answered)
        ok = take_answer(&answer, err) && read_again(s, &job, err) &&
             ((job.ended && job.phase == PHASE_FINISHED) || not_taken_up(&job, err));
    else if (ok)
        ok = finish_here(s, &job, keep_original, err);
    if (ok)
        log_info("job %s is finished", name);
out:
    answer_clear(&answer);
    job_state_clear(&job);
    session_close(s);
    return ok;
}

bool
job_request_rollback(const struct job_options *options, bool *done, struct job_report *report,
                     struct error *err)
{
    struct job_state job;
    struct answer answer = {0};
    struct session *s = open_job(options->connection, options->name, &job, err);
    bool running = false, ok = s != NULL && err->message == NULL && is_running(s, &job, &running, err);
    struct result res = {0};
    char id[24];

    *done = false;
    if (ok && !job.ended && job.phase == PHASE_FINISHED) {
        ok = error_set(err, ERROR_ROLLBACK, "job \"%s\" is being finished: there is no way back", job.name);
        error_hint(err, "Complete it with: pgrecast finish %s", job.name);
    } else if (ok && running && !job_is_turned(&job)) {
        ok = error_set(err, ERROR_ROLLBACK, "there is nothing to roll back: job \"%s\" is in phase %s",
                       job.name, job_phase_name(job.phase));
    } else if (ok) {
        int leg = job.leg;

        ok = ask_rollback(s, &job, &options->plan, &answer, done, err);
        if (ok && *done)
            ok = take_answer(&answer, err) && read_again(s, &job, err) &&
                 (job.leg > leg || not_taken_up(&job, err));
        if (!ok && err->kind == ERROR_FAILED && !err->stopped && !err->connection_lost)
            err->kind = ERROR_ROLLBACK;
    }
    snprintf(id, sizeof(id), "%" PRId64, job.id);
    if (ok && *done &&
        session_row(
            s, &res, err,
            "SELECT lock_attempts, lock_wait_ms, lock_held_ms FROM pgrecast.progress WHERE job_id = $1", 1,
            id)) {
        report->cutover_attempts = (int)result_int(&res, 0, 0);
        report->lock_wait_ms = strtod(result_text(&res, 0, 1), NULL);
        report->lock_held_ms = strtod(result_text(&res, 0, 2), NULL);
        report->swapped = true;
    }
    result_free(&res);
    answer_clear(&answer);
    job_state_clear(&job);
    session_close(s);
    return ok;
}

bool
job_request_cutover(const struct connection_options *connection, const char *name, struct error *err)
{
    struct job_state job;
    struct session *s = open_job(connection, name, &job, err);
    bool ok = s != NULL && err->message == NULL && require_running(s, &job, err);

    if (ok && job_is_turned(&job)) {
        ok = error_set(err, ERROR_FAILED, "job \"%s\" has cut over already", name);
        error_hint(err, "Go back with: pgrecast rollback %s; end it with: pgrecast finish %s", name, name);
    }
    ok = ok && session_query(s, NULL, err, "UPDATE pgrecast.job SET cutover_requested = true WHERE name = $1",
                             1, name);

    if (ok)
        log_info("job %s will cut over as soon as it is in sync", name);
    job_state_clear(&job);
    session_close(s);
    return ok;
}

static void
take_verification(const struct result *res, struct job_verification *out)
{
    out->lsn = result_lsn(res, 0, 0);
    out->rows = result_int(res, 0, 1);
    out->mismatches = result_int(res, 0, 2);
    snprintf(out->hash, sizeof(out->hash), "%s", result_text(res, 0, 3));
}

static bool
await_answer(struct session *s, const struct job_state *job, const char *request,
             struct job_verification *out, struct error *err)
{
    for (;;) {
        struct result res = {0};
        bool answered,
            ok = session_query(
                s, &res, err,
                "SELECT p.verify_lsn, p.verify_rows, p.verify_mismatches, p.verify_hash, "
                "j.ended_at IS NOT NULL, j.answer, j.answer_kind, j.answer_hint FROM pgrecast.job AS j JOIN "
                "pgrecast.progress AS p ON p.job_id = j.id WHERE j.name = $1 AND "
                "(j.verify_answered >= $2 OR j.ended_at IS NOT NULL)",
                2, job->name, request);

        answered = ok && result_rows(&res) > 0;
        if (answered && !result_null(&res, 0, 5)) {
            struct answer answer = {.kind = (enum error_kind)result_int(&res, 0, 6),
                                    .text = mem_strdup(result_text(&res, 0, 5)),
                                    .hint = mem_strdup(result_text(&res, 0, 7))};

            ok = take_answer(&answer, err);
        } else if (answered && (result_bool(&res, 0, 4) || result_null(&res, 0, 3))) {
            ok = error_set(err, ERROR_FAILED, "the job has ended without this verification");
        } else if (answered) {
            take_verification(&res, out);
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
    bool ok = s != NULL && err->message == NULL && require_running(s, &job, err) &&
              session_row(s, &res, err,
                          "UPDATE pgrecast.job SET verify_requested = verify_requested + 1, answer = NULL, "
                          "answer_kind = NULL, answer_hint = NULL WHERE name = $1 RETURNING verify_requested",
                          1, name);

    ok = ok && await_answer(s, &job, result_text(&res, 0, 0), out, err);
    result_free(&res);
    job_state_clear(&job);
    session_close(s);
    return ok;
}
