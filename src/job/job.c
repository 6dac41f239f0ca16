#include "job/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "control/status.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/stop.h"
#include "ending.h"
#include "engine.h"
#include "options.h"
#include "validate.h"

static const struct phase_step {
    enum job_phase phase, next;
    enum step (*run)(struct engine *e, struct error *err);
    const char *comment;
} steps[] = {
    {PHASE_INIT, PHASE_COPY, phase_start, "publications, slot, start barrier, receiver, shadow"},
    {PHASE_COPY, PHASE_INDEX, phase_copy, "rows older than the barrier, in chunks of blocks"},
    {PHASE_INDEX, PHASE_CATCHUP, phase_index,
     "the key and old indexes, what came before the barrier, unique and new ones"},
    {PHASE_CATCHUP, PHASE_VERIFY, phase_catchup, "the changes that came meanwhile"},
    {PHASE_VERIFY, PHASE_READY, phase_verify, "both tables at one log position; vacuum and analyze"},
    {PHASE_READY, PHASE_CUTOVER, phase_ready, "in sync until the cutover may come"},
    {PHASE_CUTOVER, PHASE_REVERSE, phase_cutover, "one lock, one transaction"},
    {PHASE_REVERSE, PHASE_ROLLED_BACK, phase_follow, "the new table serves, the original follows it"},
    {PHASE_ROLLED_BACK, PHASE_REVERSE, phase_follow, "the original serves again, the new table follows it"},
};

/* Where a job's spool goes when the user names no place: state of the user, by the XDG conventions. */
static char *
default_spool_parent(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (state != NULL && state[0] == '/')
        return mem_printf("%s/pgrecast", state);
    if (home != NULL && home[0] == '/')
        return mem_printf("%s/.local/state/pgrecast", home);
    return mem_printf("/var/tmp/pgrecast-%ld", (long)getuid());
}

/* pgrecast_JOB_xxxxxxxx: slot names are lower case letters, digits and underscores, and unique in the whole
 * cluster. */
static char *
make_slot_name(const char *job, const char *salt)
{
    char *prefix = status_name_of(job), *name;
    struct timespec now;
    uint64_t hash = XXH3_64bits(salt, strlen(salt));

    clock_gettime(CLOCK_REALTIME, &now);
    hash = XXH3_64bits_withSeed(&now, sizeof(now), hash ^ (uint64_t)getpid());
    name = mem_printf("%s%08" PRIx32, prefix, (uint32_t)hash);
    free(prefix);
    return name;
}

static void
describe_tables(struct job_state *job, const struct plan_set *plans)
{
    job->tables = mem_alloc((size_t)plans->table_count * sizeof(*job->tables));
    job->table_count = plans->table_count;
    for (int i = 0; i < plans->table_count; i++) {
        const struct table *source = plans->tables[i].forward->source;

        job->tables[i] = (struct job_table){
            .schema_name = mem_strdup(source->schema),
            .table_name = mem_strdup(source->name),
            .source_oid = source->oid,
            .fingerprint = mem_strdup(source->fingerprint),
        };
    }
}

static bool
describe_job(struct engine *e, struct error *err)
{
    const struct job_options *o = &e->options;
    struct job_state *job = &e->job;
    const struct table *first = e->plans->tables[e->plans->first].forward->source;
    struct result res = {0};
    char *parent;

    if (!session_row(e->control, &res, err,
                     "SELECT (pg_catalog.pg_control_system()).system_identifier, "
                     "pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8), "
                     "pg_catalog.current_database()",
                     0))
        return false;
    job->name = mem_strdup(o->name != NULL ? o->name : first->name);
    job->plan = plan_set_write(e->plans);
    job->options = job_options_write(o);
    job->window_s = -1;
    job->schema_name = mem_strdup(first->schema);
    job->table_name = mem_strdup(first->name);
    job->sql = mem_strdup(o->plan.sql);
    describe_tables(job, e->plans);
    job->system_identifier = mem_strdup(result_text(&res, 0, 0));
    job->timeline = (int)strtol(result_text(&res, 0, 1), NULL, 16);
    job->slot_name = make_slot_name(job->name, result_text(&res, 0, 2));
    job->publication_name = mem_strdup(job->slot_name);
    job->back_publication_name = mem_printf("%s_back", job->slot_name);
    parent = o->spool_directory != NULL ? mem_strdup(o->spool_directory) : default_spool_parent();
    job->spool_directory = mem_printf("%s/%s", parent, job->slot_name);
    free(parent);
    result_free(&res);
    e->report->name = mem_strdup(job->name);
    return true;
}

/* A job that is left alone holds back the server's log: somebody must have said how much of it at most. */
static bool
check_left_alone(struct engine *e, struct error *err)
{
    struct result res = {0};
    bool ok;

    if (e->options.exit == EXIT_AT_END)
        return true;
    ok = session_row(e->control, &res, err,
                     "SELECT pg_catalog.current_setting('max_slot_wal_keep_size') = '-1'", 0);
    if (ok && result_bool(&res, 0, 0)) {
        ok = error_set(err, ERROR_REFUSED,
                       "--exit-after would leave a replication slot that nobody reads and nothing limits");
        error_hint(err,
                   "Set max_slot_wal_keep_size on the server (a reload will do), or let the program run.");
    }
    result_free(&res);
    return ok;
}

/* Everything that can refuse, before anything is created. */
static bool
prepare(struct engine *e, struct error *err)
{
    struct plan_set *plans;

    e->control = session_open(e->options.connection, SESSION_SQL, "control", err);
    if (e->control == NULL)
        return false;
    if (!session_execute(e->control, err, "SET synchronous_commit = local") ||
        !job_check_server(e->control, e->options.connection, err) || !check_left_alone(e, err))
        return false;
    plans = plan_set_make(e->control, &e->options.plan, err);
    if (plans == NULL)
        return false;
    engine_set_plans(e, plans);
    if (!describe_job(e, err) || !job_state_install(e->control, err) ||
        !job_state_create(e->control, &e->job, err))
        return false;
    e->entered = true;
    attach_leg(e);
    return true;
}

/* Where a job that was interrupted goes on: what only the process knew has to be found again. */
static enum job_phase
first_phase(const struct engine *e)
{
    enum job_phase phase = e->job.phase;

    if (phase == PHASE_FINISHED)
        return phase;
    if (e->job.leg > 0)
        return e->options.window_s == 0 ? PHASE_FINISHED
               : job_is_turned(&e->job) ? PHASE_REVERSE
                                        : PHASE_ROLLED_BACK;
    if (phase == PHASE_CUTOVER)
        phase = PHASE_READY;
    if (phase == PHASE_READY && e->options.verify && !engine_has_dirty(e))
        phase = PHASE_VERIFY;
    return phase;
}

static const struct phase_step *
find_step(enum job_phase phase)
{
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i].phase == phase)
            return &steps[i];
    }
    return NULL;
}

/* From phase to phase until the job is over, or left, or fails. */
static enum step
run_phases(struct engine *e, struct error *err)
{
    enum job_phase phase = first_phase(e);
    const struct phase_step *step;

    while ((step = find_step(phase)) != NULL) {
        enum step end;

        e->next = step->next;
        if (!engine_phase(e, phase, err))
            return STEP_FAILED;
        end = step->run(e, err);
        if (end != STEP_NEXT)
            return end;
        phase = e->next;
    }
    return STEP_NEXT;
}

static bool
finish(struct engine *e, struct error *err)
{
    bool turned = job_is_turned(&e->job);
    bool keep = e->finish_requested == FINISH_KEEP || (e->options.keep_original && turned);

    e->report->outcome = turned ? JOB_FINISHED : JOB_UNDONE;
    return (ending_begin(e->control, &e->job, keep, err) && validate_all(e, err) &&
            ending_finish(e->control, &e->job, err)) ||
           ending_incomplete(&e->job, err);
}

/* Goes on a message about "the table". */
static const char *
are(const struct engine *e)
{
    return e->job.table_count > 1 ? "s are" : " is";
}

/* Somebody wants it gone, or it can never go on: nothing is left behind. */
static void
remove_job(struct engine *e, enum job_phase end, struct error *err)
{
    struct error failed = {0};
    char *message = mem_printf("%s%s%s", err->message, err->detail != NULL ? "\n" : "",
                               err->detail != NULL ? err->detail : "");

    stop_hold();
    session_rollback(e->control);
    if (ledger_undo(e->control, &e->job, &failed) &&
        job_state_end(e->control, &e->job, end, message, &failed)) {
        error_hint(err, "The table%s untouched and everything the job had made is removed.", are(e));
    } else {
        log_warning("the clean-up is not complete: %s", failed.message);
        error_hint(err, "See what is left with: pgrecast status %s; remove it with: pgrecast abort %s",
                   e->job.name, e->job.name);
    }
    error_clear(&failed);
    free(message);
    stop_release();
}

/* The next command to type. */
static void
hint_resume(const struct engine *e, struct error *err)
{
    char *before = err->hint;

    err->hint = NULL;
    if (e->job.leg == 0)
        error_hint(err,
                   "%s%sThe table%s untouched. Go on with: pgrecast resume %s; or remove the job with: "
                   "pgrecast abort %s",
                   before != NULL ? before : "", before != NULL ? " " : "", are(e), e->job.name, e->job.name);
    else
        error_hint(err, "%s%s%s%s. Go on with: pgrecast resume %s; or end the job with: pgrecast finish %s",
                   before != NULL ? before : "", before != NULL ? " " : "",
                   job_is_turned(&e->job) ? "The new table" : "The original",
                   e->job.table_count > 1 ? "s serve" : " serves", e->job.name, e->job.name);
    free(before);
}

static void
end_failed(struct engine *e, struct error *err)
{
    struct error ignored = {0};

    if (!e->entered || e->control == NULL) {
        hint_resume(e, err);
        return;
    }
    if (e->abort_requested && !job_is_turned(&e->job)) {
        remove_job(e, PHASE_ABORTED, err);
    } else if (!err->connection_lost && !err->stopped &&
               ((e->job.leg == 0 && e->job.phase == PHASE_INIT) || attach_hopeless(e, err))) {
        remove_job(e, PHASE_FAILED, err);
    } else {
        bool lost = false;

        stop_hold();
        if (!err->connection_lost) {
            session_rollback(e->control);
            lost = !err->stopped && engine_follows(e) && attach_slot_lost(e, err);
            job_state_save_error(e->control, &e->job, err, &ignored);
        }
        stop_release();
        error_clear(&ignored);
        if (!lost)
            hint_resume(e, err);
    }
}

/* The job stays; --exit-after has had its effect. */
static bool
leave(struct engine *e, struct error *err)
{
    char *options;
    bool ok;

    e->options.exit = EXIT_AT_END;
    options = job_options_write(&e->options);
    ok = job_state_save_options(e->control, &e->job, options, err);
    free(options);
    e->report->outcome = JOB_LEFT;
    return ok;
}

/* While the connection was lost somebody else has ended the job in order. */
static bool
finished_meanwhile(struct engine *e, struct error *err)
{
    if (!e->job.ended || e->job.phase != PHASE_FINISHED)
        return false;
    log_info("job %s was finished meanwhile", e->job.name);
    error_clear(err);
    e->report->outcome = job_is_turned(&e->job) ? JOB_FINISHED : JOB_UNDONE;
    return true;
}

/* Run a job that is ours to an end, through lost connections. */
static bool
drive(struct engine *e, struct error *err)
{
    enum step end;
    bool ok;

    for (;;) {
        end = run_phases(e, err);
        if (end != STEP_FAILED || !err->connection_lost || err->stopped || e->options.reconnect_s == 0 ||
            !attach_again(e, err))
            break;
    }
    progress_end(&e->progress);
    stages_close(e);
    if (end == STEP_FAILED && finished_meanwhile(e, err))
        return true;
    ok = end == STEP_NEXT ? finish(e, err) : end == STEP_LEAVE && leave(e, err);
    if (!ok && end != STEP_NEXT)
        end_failed(e, err);
    return ok;
}

/* A job that cannot be taken up again: what can never go on is said to be so, and kept for `abort` to remove.
 */
static void
end_unattached(struct engine *e, struct error *err)
{
    struct error ignored = {0};

    if (err->connection_lost && err->hint == NULL)
        error_hint(err, "Try again with: pgrecast resume %s", e->options.name);
    if (!e->entered || err->connection_lost)
        return;
    job_state_save_error(e->control, &e->job, err, &ignored);
    error_clear(&ignored);
    if (err->hint == NULL)
        hint_resume(e, err);
}

static void
engine_open(struct engine *e, const struct job_options *options, struct job_report *report)
{
    memset(e, 0, sizeof(*e));
    memset(report, 0, sizeof(*report));
    e->options = *options;
    e->report = report;
    e->began_ms = clock_ms();
    progress_init(&e->progress, options->progress);
}

static void
engine_close(struct engine *e)
{
    e->report->seconds = (double)(clock_ms() - e->began_ms) / 1000;
    stages_close(e);
    engine_forget_dirty(e);
    free(e->tables);
    session_close(e->control);
    plan_set_free(e->plans);
    job_state_clear(&e->job);
}

static void
log_start(const struct engine *e)
{
    for (int i = 0; i < e->table_count; i++) {
        const struct plan *plan = e->tables[i].plan;
        const struct table *t = plan->source;

        if (t->estimated_rows >= 0)
            log_info("job %s: %s, about %" PRId64 " rows, %" PRId64 " MB", e->job.name, plan->source_sql,
                     t->estimated_rows, t->bytes / 1000000);
        else
            log_info("job %s: %s, %" PRId64 " MB, never analyzed", e->job.name, plan->source_sql,
                     t->bytes / 1000000);
    }
}

bool
job_run(const struct job_options *options, struct job_report *report, struct error *err)
{
    struct engine e;
    bool ok = false;

    engine_open(&e, options, report);
    if (prepare(&e, err)) {
        log_start(&e);
        ok = drive(&e, err);
    }
    engine_close(&e);
    return ok;
}

bool
job_resume(const struct job_options *options, struct job_report *report, struct error *err)
{
    struct engine e;
    bool ok = false;

    engine_open(&e, options, report);
    if (attach_job(&e, options->name, err)) {
        log_info("job %s goes on in phase %s", e.job.name, job_phase_name(e.job.phase));
        ok = drive(&e, err);
    } else {
        end_unattached(&e, err);
    }
    engine_close(&e);
    return ok;
}

bool
job_rollback(const struct job_options *options, struct job_report *report, struct error *err)
{
    struct engine e;
    bool ok = false;

    engine_open(&e, options, report);
    e.rollback_only = e.rollback_requested = true;
    e.remap_requested = options->plan.reverse_map_count > 0;
    if (attach_job(&e, options->name, err)) {
        if (e.job.phase == PHASE_FINISHED)
            ok = error_set(err, ERROR_ROLLBACK, "job \"%s\" is being finished: there is no way back",
                           e.job.name);
        else if (job_is_turned(&e.job) && engine_follows(&e))
            ok = drive(&e, err);
        else
            ok = error_set(err, ERROR_ROLLBACK, "there is nothing to roll back: job \"%s\" is in phase %s",
                           e.job.name, job_phase_name(e.job.phase));
    }
    if (!ok && err->kind == ERROR_FAILED && !err->stopped)
        err->kind = ERROR_ROLLBACK;
    engine_close(&e);
    return ok;
}

void
job_report_clear(struct job_report *report)
{
    free(report->name);
    memset(report, 0, sizeof(*report));
}
