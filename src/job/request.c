/*
 * What another process asks of a job: by a request where an instance runs it, by its ledger where none runs.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/status.h"
#include "control/print_status.h"
#include "core/clock.h"
#include "core/command.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/stop.h"
#include "ending.h"
#include "job/job.h"
#include "state/access.h"
#include "state/job.h"
#include "state/ledger.h"
#include "state/request.h"
#include "options.h"
#include "pg/sqlstate.h"
#include "run.h"
#include "validate.h"

#define POLL_MS 200
#define BACK_SOON_MS 2000   /* an instance that has lost its connection has a new one within this time */
#define READY_SOON_MS 30000 /* within this time one that has connected holds the job and reads requests */
/*
 * Within this time a process that was started a moment ago, to become the instance, has connected; and an instance that ran
 * a moment ago, and may only have lost its connection, has connected again.
 */
#define START_SOON_MS 2000
#define AGAIN_SOON_MS 5000
#define TAKEN_SOON_MS                                                                                        \
    60000 /* an instance reads requests about twice a second, but not during long statements */

/* A job to which a request is made, or that is ended here. */
struct asked_job {
    const struct state_access *access;
    const char *name;
    struct session *s;
    struct job_state job;
    bool older; /* the job has another format: only its id, its name and whether it has ended are known */
};

/*
 * Open a session, and find out whether the state has another format. Close with asked_close(), also after a
 * failure.
 */
static bool
asked_connect(struct asked_job *a, const struct state_access *access, const char *name, struct error *err)
{
    enum state_presence presence;

    *a = (struct asked_job){.access = access, .name = name};
    a->s = state_open(access, "control", &presence, err);
    if (a->s == NULL)
        return false;
    a->older = presence == STATE_OLDER;
    return presence != STATE_NONE || job_state_missing(name, 0, err);
}

/* Read a job of any format. Close and clear with asked_close(), also after a failure. */
static bool
asked_open(struct asked_job *a, const struct state_access *access, const char *name, struct error *err)
{
    if (!asked_connect(a, access, name, err))
        return false;
    return a->older ? job_state_read_older(a->s, name, &a->job, err)
                    : job_state_read_any(a->s, name, &a->job, err);
}

/* The same, for requests that only jobs of this format can carry out. */
static bool
asked_open_current(struct asked_job *a, const struct state_access *access, const char *name,
                   struct error *err)
{
    if (!asked_connect(a, access, name, err))
        return false;
    if (!a->older)
        return job_state_read(a->s, name, &a->job, err);
    if (!job_state_read_older(a->s, name, &a->job, err))
        return false;
    error_set(err, ERROR_FAILED, "job \"%s\" was made by an older version of pgrecast", name);
    return error_hint(err, "Use that version, or remove the job with: " COMMAND("abort"), name);
}

static void
asked_close(struct asked_job *a)
{
    job_state_clear(&a->job);
    session_close(a->s);
    a->s = NULL;
}

/* For how long one waits for an instance, where only these locks are held. */
static int64_t
patience_ms(const struct job_locks *locks, bool start)
{
    if (locks->taken || locks->begins)
        return READY_SOON_MS;
    return !start ? 0 : locks->recent ? AGAIN_SOON_MS : START_SOON_MS;
}

/*
 * Whether an instance runs the job: then it will read the request. One that begins is waited for, because it ends the
 * requests of its predecessor when it takes the job. start: also one that may not have connected yet.
 */
static bool
await_instance(struct session *s, const struct job_state *job, bool start, bool *running, struct error *err)
{
    int64_t began = clock_ms();
    struct job_locks locks;
    bool ok, wait;

    do {
        ok = job_state_find_locks(s, job, &locks, err);
        wait = ok && !locks.ready && clock_ms() - began < patience_ms(&locks, start);
    } while (wait && clock_sleep(POLL_MS));
    *running = ok && locks.taken;
    return ok;
}

/* Fails unless an instance runs the job, or begins to. */
static bool
require_running(struct session *s, const struct job_state *job, struct error *err)
{
    bool running, ok;

    if (job->ended)
        return job_state_ended(job, err);
    ok = await_instance(s, job, true, &running, err);
    if (!ok || running)
        return ok;
    error_set(err, ERROR_FAILED, "no instance is running job \"%s\" (it is in phase %s)", job->name,
              job_phase_name(job->phase));
    return error_hint(err, "To continue, run: " COMMAND("resume"), job->name);
}

static bool
not_taken(const struct job_state *job, struct error *err)
{
    error_set(err, ERROR_FAILED,
              "the instance that runs job \"%s\" has not taken the request within %d s: it is withdrawn",
              job->name, TAKEN_SOON_MS / 1000);
    error_detail(err, "It ran on host %s.", job->host);
    return error_hint(err, "Look at it with: " COMMAND("status"), job->name);
}

/* What the caller waits for. */
enum await { AWAIT_TAKEN, AWAIT_ANSWER };

static bool
request_is_over(const struct request_answer *answer, enum await what)
{
    return answer->ended || answer->job_ended || answer->outcome > REQUEST_DONE ||
           (what == AWAIT_TAKEN && answer->taken);
}

/*
 * Wait for the outcome of a request. It is withdrawn where no instance is left that could answer it, or when
 * the user stops the wait. The outcome that the request has then is final.
 */
static bool
await_outcome(struct session *s, const struct job_state *job, int64_t id, enum await what,
              struct request_answer *answer, struct error *err)
{
    int64_t until = clock_ms() + TAKEN_SOON_MS, seen = clock_ms();
    struct error why = {0};
    bool ok, running = true;

    do {
        ok = request_read(s, id, answer, err);
        if (!ok || request_is_over(answer, what))
            return ok;
        if (!answer->taken && clock_ms() > until) {
            not_taken(job, &why);
        } else if (!clock_sleep(POLL_MS)) {
            error_set(&why, ERROR_FAILED, "stopped while waiting for the instance that runs the job");
            why.stopped = true;
        }
        ok = await_instance(s, job, false, &running, err);
        if (ok && running)
            seen = clock_ms();
    } while (ok && clock_ms() - seen < BACK_SOON_MS && why.message == NULL);
    stop_hold(); /* also after the user has pressed Ctrl-C */
    ok = ok && request_withdraw(s, id, err) && request_read(s, id, answer, err);
    stop_release();
    if (ok && why.message != NULL && answer->outcome == REQUEST_WITHDRAWN) {
        error_move(err, &why);
        ok = false;
    }
    error_clear(&why);
    return ok;
}

/*
 * Make a request to a running instance and wait. *answered is false where no instance runs, or none any more.
 */
static bool
ask(struct session *s, const struct job_state *job, enum request_kind kind, const char *arguments,
    struct request_answer *answer, bool *answered, struct error *err)
{
    bool running, ok = await_instance(s, job, false, &running, err);
    int64_t id;

    *answered = false;
    if (ok && running) {
        ok = request_add(s, job, kind, arguments, &id, err) &&
             await_outcome(s, job, id, AWAIT_ANSWER, answer, err);
        *answered = ok && (answer->outcome == REQUEST_DONE || answer->outcome == REQUEST_REFUSED);
    }
    return ok;
}

/* True where the request was carried out; otherwise err has the reason. */
static bool
take_answer(struct request_answer *answer, struct error *err)
{
    if (answer->outcome == REQUEST_DONE)
        return true;
    error_move(err, &answer->reason);
    return false;
}

/* Read what another process has changed in the job meanwhile. */
static bool
read_again(struct session *s, struct job_state *job, struct error *err)
{
    struct job_state now;

    if (!job_state_read_any(s, job->name, &now, err))
        return false;
    job_state_clear(job);
    *job = now;
    return true;
}

/*
 * As an instance would: take the lock, end the statements of the last instance, and make sure that it can
 * write no more. One of its commits may have succeeded meanwhile. A job that has ended is not taken.
 */
static bool
request_take_over(struct session *s, struct job_state *job, struct error *err)
{
    return job_state_lock(s, job, err) && read_again(s, job, err) &&
           (job->ended ||
            (ending_orphans(s, job, err) && job_state_take(s, job, false, err) && read_again(s, job, err)));
}

/* What is asked of a job that need not run. */
struct demand {
    enum request_kind kind;
    const char *arguments; /* JSON or NULL */
    /* Do it here, where no instance runs the job. May close the session. JOB_LOCKED: an instance has begun meanwhile. */
    bool (*here)(struct asked_job *a, const void *arg, struct error *err);
    const void *arg; /* for .here */
};

#define DEMAND_TRIES 5

/* Ask the instance that runs the job; where none runs, do it here (*answered is false). */
static bool
ask_or_do(struct asked_job *a, const struct demand *d, struct request_answer *answer, bool *answered,
          struct error *err)
{
    for (int left = DEMAND_TRIES;; left--) {
        if (a->s == NULL && !asked_open_current(a, a->access, a->name, err))
            return false;
        if (!ask(a->s, &a->job, d->kind, d->arguments, answer, answered, err))
            return false;
        if (*answered || d->here(a, d->arg, err))
            return true;
        if (!sqlstate_is(err, JOB_LOCKED) || left == 0)
            return false;
        error_clear(err);
        request_answer_clear(answer);
    }
}

static bool
refuse_reversed(const struct job_state *job, struct error *err)
{
    if (job->ended || !job_is_reversed(job))
        return true;
    error_set(err, ERROR_FAILED, "job \"%s\" has cut over: the new table is active", job->name);
    error_hint(err, "Go back with: " COMMAND("rollback") "; or keep the new table with: " COMMAND("finish"),
               job->name, job->name);
    return false;
}

static bool
remove_current(struct session *s, struct job_state *job, struct error *err)
{
    return request_take_over(s, job, err) && refuse_reversed(job, err) &&
           (job->ended || (ledger_undo(s, job, err) && job_state_end(s, job, PHASE_ABORTED, NULL, err)));
}

/* A running instance of the older version is not asked: its lock refuses this command. */
static bool
remove_older(struct session *s, struct job_state *job, struct error *err)
{
    return job_state_lock(s, job, err) && ledger_undo_older(s, job, err) && job_state_end_older(s, job, err);
}

/* The job's state is gone, but not the objects that the job has made on the server. */
static bool
remove_orphans(const struct state_access *access, const char *name, struct error *err)
{
    enum state_presence presence;
    struct error failed = {0};
    struct orphan_list list = {0};
    struct session *s = state_open(access, "control", &presence, &failed);
    bool ok = s != NULL && orphans_read(s, presence, name, &list, &failed) && list.count > 0;

    for (int i = 0; ok && i < list.count; i++) {
        ok = orphan_remove(s, &list.items[i], &failed);
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

static bool
abort_here(struct asked_job *a, const void *arg, struct error *err)
{
    (void)arg;
    return remove_current(a->s, &a->job, err);
}

/*
 * Abort by the running instance, or here where none runs. What the instance has left is removed here. If the instance
 * refuses because it has just cut over, that is the answer.
 */
static bool
abort_current(struct asked_job *a, struct error *err)
{
    struct demand demand = {.kind = REQUEST_ABORT, .here = abort_here};
    struct request_answer answer = {0};
    bool answered = false;
    bool ok = refuse_reversed(&a->job, err) && ask_or_do(a, &demand, &answer, &answered, err);

    if (ok && answered)
        ok = read_again(a->s, &a->job, err) &&
             (answer.outcome != REQUEST_REFUSED || !job_is_reversed(&a->job) || take_answer(&answer, err)) &&
             refuse_reversed(&a->job, err) && remove_current(a->s, &a->job, err);
    request_answer_clear(&answer);
    return ok;
}

bool
job_abort(const struct state_access *access, const char *name, struct error *err)
{
    struct asked_job a;
    bool ok = asked_open(&a, access, name, err), ended;

    if (!ok && a.s != NULL && err->kind == ERROR_USAGE) {
        asked_close(&a);
        return remove_orphans(access, name, err);
    }
    ended = ok && a.job.ended;
    if (ok && !ended)
        ok = a.older ? remove_older(a.s, &a.job, err) : abort_current(&a, err);
    if (ok && ended)
        log_info("job %s has ended already: nothing to remove", name);
    else if (ok)
        log_info("job %s is aborted: everything it had made is removed, the table is untouched", name);
    asked_close(&a);
    return ok;
}

/* Validate the constraints that the last swap has left as NOT VALID. */
static bool
validate(struct session *s, const struct job_state *job, struct error *err)
{
    struct plan_set *plans = plan_set_read(job->plan, err);
    bool ok;

    /* The plans are of another version: the job can be finished without the validation. */
    if (plans == NULL) {
        log_warning("foreign keys are not validated: %s", err->message);
        error_clear(err);
        return true;
    }
    ok = validate_here(s, plans, job->swaps, err);
    plan_set_free(plans);
    return ok;
}

/* As a running instance would. arg: whether the inactive table stays. */
static bool
finish_here(struct asked_job *a, const void *arg, struct error *err)
{
    bool keep_original = *(const bool *)arg;
    struct session *s = a->s;
    struct job_state *job = &a->job;
    struct job_options options = {0};

    if (!request_take_over(s, job, err))
        return false;
    if (job->ended)
        return job->phase == PHASE_FINISHED || job_state_ended(job, err);
    if (!job_options_read(&options, job->options, err))
        return false;
    keep_original = keep_original || (options.keep_original && job_is_reversed(job));
    return (ending_begin(s, job, keep_original, err) && validate(s, job, err) &&
            ending_finish(s, job, err)) ||
           ending_incomplete(job, err);
}

static bool
ask_finish(struct asked_job *a, bool keep_original, struct error *err)
{
    struct demand demand = {.kind = REQUEST_FINISH,
                            .arguments = keep_original ? REQUEST_KEEP : NULL,
                            .here = finish_here,
                            .arg = &keep_original};
    struct request_answer answer = {0};
    bool answered = false;
    bool ok = ask_or_do(a, &demand, &answer, &answered, err) && (!answered || take_answer(&answer, err));

    request_answer_clear(&answer);
    return ok;
}

/* Which tables remain. */
static bool
log_finished(struct session *s, const char *name, const char *how, struct error *err)
{
    struct status_query query = {.name = name};
    struct status_list list;
    char *text;

    if (!status_read(s, STATE_CURRENT, &query, &list, err))
        return false;
    text = status_active_text(&list.jobs[0]);
    log_info("job %s %s: %s", name, how, text);
    free(text);
    status_list_free(&list);
    return true;
}

bool
job_finish(const struct state_access *access, const char *name, bool keep_original, struct error *err)
{
    struct asked_job a;
    bool ok = asked_open_current(&a, access, name, err);

    if (ok && a.job.ended && a.job.phase == PHASE_FINISHED) {
        ok = log_finished(a.s, name, "has ended already", err);
    } else if (ok && a.job.ended) {
        ok = job_state_ended(&a.job, err);
    } else if (ok && a.job.swaps == 0) {
        ok = error_set(err, ERROR_FAILED, "job \"%s\" has not cut over: there is nothing to finish", name);
        error_hint(err, "Remove it with: " COMMAND("abort"), name);
    } else if (ok) {
        ok = ask_finish(&a, keep_original, err) && log_finished(a.s, name, "is finished", err);
    }
    asked_close(&a);
    return ok;
}

/* Read the figures of the swap. An instance that died right after the swap has not written them. */
static void
take_figures(const struct request_answer *answer, struct job_report *report)
{
    json_t *json = answer->result != NULL ? json_loads(answer->result, 0, NULL) : NULL;

    report->swapped = true;
    report->cutover_attempts = (int)json_integer_value(json_object_get(json, "attempts"));
    report->lock_wait_ms = json_number_value(json_object_get(json, "lock_wait_ms"));
    report->lock_held_ms = json_number_value(json_object_get(json, "lock_held_ms"));
    json_decref(json);
}

struct rollback_here {
    const struct job_options *options;
    struct job_report *report;
};

/* The job runs here with sessions of its own, until it is rolled back. */
static bool
request_rollback_here(struct asked_job *a, const void *arg, struct error *err)
{
    const struct rollback_here *here = arg;

    asked_close(a);
    job_report_clear(here->report);
    return run_rollback(here->options, here->report, err);
}

static bool
refuse_finishing(const struct job_state *job, struct error *err)
{
    if (job->ended || job->phase != PHASE_FINISHED)
        return true;
    error_set(err, ERROR_ROLLBACK, "job \"%s\" is being finished: a rollback is no longer possible",
              job->name);
    return error_hint(err, "Complete it with: " COMMAND("finish"), job->name);
}

static bool
ask_rollback(struct asked_job *a, const struct job_options *options, const char *arguments, bool *answered,
             struct job_report *report, struct error *err)
{
    struct rollback_here here = {.options = options, .report = report};
    struct demand demand = {
        .kind = REQUEST_ROLLBACK, .arguments = arguments, .here = request_rollback_here, .arg = &here};
    struct request_answer answer = {0};
    bool ok = ask_or_do(a, &demand, &answer, answered, err) && (!*answered || take_answer(&answer, err));

    if (ok && *answered)
        take_figures(&answer, report);
    request_answer_clear(&answer);
    return ok;
}

bool
job_rollback(const struct job_options *options, bool *running, struct job_report *report, struct error *err)
{
    struct state_access access = {.connection = options->connection, .owner = options->state_owner};
    const struct plan_options *plan = &options->plan;
    char *arguments = NULL;
    struct asked_job a;
    bool ok = asked_open_current(&a, &access, options->name, err) && refuse_finishing(&a.job, err);

    *running = false;
    *report = (struct job_report){0};
    if (ok) {
        ok = (plan->reverse_map_count == 0 ||
              (arguments = request_maps_write(plan->reverse_map_count, plan->reverse_maps, err)) != NULL) &&
             ask_rollback(&a, options, arguments, running, report, err);
        if (!ok && err->kind == ERROR_FAILED && !err->stopped && !err->connection_lost)
            err->kind = ERROR_ROLLBACK;
    }
    free(arguments);
    asked_close(&a);
    return ok;
}

/* What begins with the swap, in words: the time of the swap is not known yet. */
static void
log_will_cut_over(const struct job_state *job)
{
    struct job_options options = {0};
    struct error ignored = {0};
    char text[32];

    if (!job_options_read(&options, job->options, &ignored) || options.window_s < 0)
        log_info("job %s will cut over as soon as it is in sync; rollback is then possible until `finish`",
                 job->name);
    else if (options.window_s == 0)
        log_info("job %s will cut over as soon as it is in sync; there will be no rollback", job->name);
    else
        log_info("job %s will cut over as soon as it is in sync; rollback is then possible for %s, until the "
                 "time that `" COMMAND("status") "` shows",
                 job->name, clock_format_duration((double)options.window_s, text), job->name);
    error_clear(&ignored);
}

/* The request was carried out, or it was not and err has the reason. */
static bool
await_cutover(struct asked_job *a, int64_t id, struct request_answer *answer, struct job_report *report,
              struct error *err)
{
    if (!await_outcome(a->s, &a->job, id, AWAIT_ANSWER, answer, err))
        return false;
    if (answer->outcome == REQUEST_REFUSED)
        return take_answer(answer, err);
    if (answer->outcome != REQUEST_DONE) {
        error_set(err, ERROR_FAILED, "the instance that ran job \"%s\" has ended without the cutover",
                  a->job.name);
        return error_hint(err, "Look at it with: " COMMAND("status"), a->job.name);
    }
    if (!read_again(a->s, &a->job, err))
        return false;
    take_figures(answer, report);
    report->reversed = !a->job.ended && job_is_reversed(&a->job);
    report->window_ends = a->job.window_ends != NULL ? mem_strdup(a->job.window_ends) : NULL;
    return true;
}

/* The request was taken: `status` shows what becomes of it. */
static bool
await_taken(struct asked_job *a, int64_t id, struct request_answer *answer, struct error *err)
{
    bool ok = await_outcome(a->s, &a->job, id, AWAIT_TAKEN, answer, err);

    if (ok && answer->outcome == REQUEST_REFUSED)
        ok = take_answer(answer, err);
    else if (ok && answer->outcome > REQUEST_DONE)
        ok = require_running(a->s, &a->job, err);
    if (ok)
        log_will_cut_over(&a->job);
    return ok;
}

bool
job_request_cutover(const struct state_access *access, const char *name, bool wait, struct job_report *report,
                    struct error *err)
{
    struct request_answer answer = {0};
    struct asked_job a;
    int64_t id;
    bool ok = asked_open_current(&a, access, name, err) && require_running(a.s, &a.job, err);

    if (ok && job_is_reversed(&a.job)) {
        ok = error_set(err, ERROR_FAILED, "job \"%s\" has cut over already", name);
        error_hint(err, "Go back with: " COMMAND("rollback") "; end it with: " COMMAND("finish"), name, name);
    }
    ok = ok && request_add(a.s, &a.job, REQUEST_CUTOVER, NULL, &id, err) &&
         (wait ? await_cutover(&a, id, &answer, report, err) : await_taken(&a, id, &answer, err));
    request_answer_clear(&answer);
    asked_close(&a);
    return ok;
}

static bool
take_verification(const struct request_answer *answer, struct state_verification *out, struct error *err)
{
    json_t *json = answer->result != NULL ? json_loads(answer->result, 0, NULL) : NULL;
    const char *lsn = "", *hash = "";
    json_int_t rows = 0, mismatches = 0;
    bool ok = json_unpack(json, "{s:s, s:I, s:I, s:s}", "lsn", &lsn, "rows", &rows, "mismatches", &mismatches,
                          "hash", &hash) == 0 &&
              lsn_parse(lsn, &out->lsn);

    out->rows = rows;
    out->mismatches = mismatches;
    snprintf(out->hash, sizeof(out->hash), "%s", hash);
    json_decref(json);
    return ok || error_set(err, ERROR_FAILED, "the answer to the verification cannot be read");
}

bool
job_request_verify(const struct state_access *access, const char *name, struct state_verification *out,
                   struct error *err)
{
    struct request_answer answer = {0};
    struct asked_job a;
    bool answered = false, ok = asked_open_current(&a, access, name, err) &&
                                require_running(a.s, &a.job, err) &&
                                ask(a.s, &a.job, REQUEST_VERIFY, NULL, &answer, &answered, err);

    if (ok && answered) {
        /* Also read the figures of a verification that found differences. */
        ok =
            (answer.outcome != REQUEST_DONE && answer.result == NULL) || take_verification(&answer, out, err);
        ok = ok && take_answer(&answer, err);
    } else if (ok) {
        ok = error_set(err, ERROR_FAILED,
                       "the instance that ran job \"%s\" has ended without this verification", name);
        error_hint(err, "Run: " COMMAND("resume") "; then ask again.", name);
    }
    request_answer_clear(&answer);
    asked_close(&a);
    return ok;
}
