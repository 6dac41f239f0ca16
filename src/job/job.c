#include "job/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "again.h"
#include "attach.h"
#include "core/clock.h"
#include "core/command.h"
#include "core/count.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/stop.h"
#include "early.h"
#include "ending.h"
#include "engine.h"
#include "options.h"
#include "phases.h"
#include "requests.h"
#include "run.h"
#include "space.h"
#include "stages.h"
#include "state/earlier.h"
#include "state/guard.h"
#include "state/ledger.h"
#include "state/status.h"
#include "tables.h"
#include "validate.h"
#include "waits.h"
#include "watch.h"

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
    {PHASE_REVERSE, PHASE_ROLLED_BACK, phase_follow, "the new table is active, the original follows it"},
    {PHASE_ROLLED_BACK, PHASE_REVERSE, phase_follow,
     "the original is active again, the new table follows it"},
};

/*
 * pgrecast_JOB_xxxxxxxx. The name of a slot has lower case letters, digits and underscores, and is unique in
 * the whole cluster.
 */
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

/*
 * Read the full definitions. Their fingerprints show whether they are the ones for which the plan was made.
 */
static bool
describe_definition(struct engine *e, const struct table *source, struct job_table *t, struct error *err)
{
    struct table_definition d;
    bool ok = table_definition_read(e->control, source->oid, "{}", &d, err);

    if (ok && strcmp(d.fingerprint, source->fingerprint) != 0)
        ok = error_set(err, ERROR_FAILED, "the definition of table %s was changed while it was planned for",
                       source->name);
    if (ok)
        t->definition = mem_strdup(d.text);
    table_definition_clear(&d);
    return ok;
}

static bool
describe_tables(struct engine *e, struct job_state *job, const struct plan_set *plans, struct error *err)
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
        if (!describe_definition(e, source, &job->tables[i], err))
            return false;
    }
    return true;
}

/*
 * The name that the user gave; otherwise that of the table, with its schema where the search_path does not
 * contain that. The caller frees it. NULL on failure.
 */
static char *
choose_name(struct engine *e, const struct table *first, struct error *err)
{
    struct result res = {0};
    char *name = NULL;
    bool ok = true;

    if (e->options.name != NULL) {
        name = mem_strdup(e->options.name);
    } else {
        ok = session_execute(e->control, err, "BEGIN; SET LOCAL search_path TO DEFAULT") &&
             session_row(e->control, &res, err,
                         "SELECT $1::pg_catalog.name OPERATOR(pg_catalog.=) ANY "
                         "(pg_catalog.current_schemas(true)) AS found",
                         1, first->schema);
        if (ok)
            name = row_bool(&res, 0, "found") ? mem_strdup(first->name)
                                              : mem_printf("%s.%s", first->schema, first->name);
        result_free(&res);
        session_rollback(e->control);
    }
    if (ok && !command_name_valid(name)) {
        error_set(err, ERROR_USAGE,
                  "the name of a job has at least one character, and no control characters");
        error_hint(err, "Name the job with --job.");
        free(name);
        name = NULL;
    }
    return name;
}

static bool
describe_job(struct engine *e, struct error *err)
{
    const struct job_options *o = &e->options;
    struct job_state *job = &e->job;
    const struct table *first = e->plans->tables[e->plans->first].forward->source;
    struct result res = {0};
    char *parent;

    job->name = choose_name(e, first, err);
    if (job->name == NULL ||
        !session_row(
            e->control, &res, err,
            "SELECT (pg_catalog.pg_control_system()).system_identifier, "
            "pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8) AS timeline, "
            "pg_catalog.current_database() AS database, (SELECT d.oid FROM pg_catalog.pg_database AS d "
            "WHERE d.datname = pg_catalog.current_database()) AS database_oid",
            0))
        return false;
    job->plan = plan_set_write(e->plans);
    job->options = job_options_write(o);
    job->settings = mem_strdup(e->settings.evaluation);
    job->window_s = -1;
    job->schema_name = mem_strdup(first->schema);
    job->table_name = mem_strdup(first->name);
    job->sql = mem_strdup(o->plan.sql);
    job->system_identifier = row_copy(&res, 0, "system_identifier");
    job->database_oid = (uint32_t)row_int(&res, 0, "database_oid");
    job->here = true;
    job->timeline = (int)strtol(row_text(&res, 0, "timeline"), NULL, 16);
    job->slot_name = make_slot_name(job->name, row_text(&res, 0, "database"));
    job->publication_name = mem_strdup(job->slot_name);
    job->back_publication_name = mem_printf("%s_back", job->slot_name);
    parent = space_spool_parent(o);
    job->spool_directory = mem_printf("%s/%s", parent, job->slot_name);
    free(parent);
    result_free(&res);
    e->report->name = mem_strdup(job->name);
    return describe_tables(e, job, e->plans, err);
}

/*
 * A job that no instance runs holds back the server's log: an administrator must have set how much of it at
 * most.
 */
bool
job_check_left_alone(struct engine *e, enum job_exit exit, struct error *err)
{
    struct result res = {0};
    bool ok;

    if (exit == EXIT_AT_END)
        return true;
    ok = session_row(e->control, &res, err,
                     "SELECT pg_catalog.current_setting('max_slot_wal_keep_size') = '-1' AS unlimited", 0);
    if (ok && row_bool(&res, 0, "unlimited")) {
        ok = error_set(err, ERROR_REFUSED,
                       "--exit-after would leave a replication slot that nobody reads and nothing limits");
        error_hint(err,
                   "Set max_slot_wal_keep_size on the server (a reload will do), or let the program run.");
    }
    result_free(&res);
    return ok;
}

static bool
check_spool(struct engine *e, struct error *err)
{
    char *text;
    bool enough, ok = job_spool_space(e->control, e->plans, &e->options, &text, &enough, err);

    if (ok)
        log_line(enough ? LOG_DEBUG : LOG_WARNING, "%s", text);
    free(text);
    return ok;
}

/* Every check that can refuse the job, before anything is created. */
static bool
job_prepare(struct engine *e, struct error *err)
{
    enum state_presence presence;
    struct plan_set *plans;

    /* The owner of the state is checked first: no plan is made for a role that cannot enter the job. */
    e->control = state_open(&e->access, "control", &presence, err);
    if (e->control == NULL)
        return false;
    if (!job_check_server(e->control, e->options.connection, &e->options.workers, err) ||
        !job_check_left_alone(e, e->options.exit, err))
        return false;
    if (!attach_settings(e, NULL, err))
        return false;
    e->options.plan.kept_by = presence == STATE_CURRENT ? earlier_kept_by : NULL;
    plans = plan_set_make(e->control, &e->options.plan, err);
    if (plans == NULL)
        return false;
    engine_set_plans(e, plans);
    if (again_not_needed(e))
        return false;
    if (!check_spool(e, err) || !job_check_locks(e->control, e->plans, err))
        return false;
    if (!describe_job(e, err) || !state_install(e->control, &e->access, err) ||
        !job_state_create(e->control, &e->job, err))
        return false;
    e->entered = true;
    if (!guard_admit(e->control, &e->job, err))
        return false;
    attach_direction(e);
    return true;
}

/* The phase in which an interrupted job continues. What only the process knew has to be found out again. */
static enum job_phase
first_phase(const struct engine *e)
{
    enum job_phase phase = e->job.phase;

    if (phase == PHASE_FINISHED)
        return phase;
    if (e->job.swaps > 0)
        return e->options.window_s == 0   ? PHASE_FINISHED
               : job_is_reversed(&e->job) ? PHASE_REVERSE
                                          : PHASE_ROLLED_BACK;
    if (phase == PHASE_CUTOVER)
        phase = PHASE_READY;
    if (phase == PHASE_READY && e->options.verify && !engine_has_dirty(e) && e->unequal.message == NULL)
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

/* Run the phases until the job is over, the run ends, or a phase fails. */
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
    bool reversed = job_is_reversed(&e->job);
    bool keep =
        request_keeps(requests_arguments(e, REQUEST_FINISH)) || (e->options.keep_original && reversed);

    e->report->outcome = reversed ? JOB_FINISHED : JOB_UNDONE;
    return (ending_begin(e->control, &e->job, keep, err) && validate_all(e, err) &&
            ending_finish(e->control, &e->job, err)) ||
           ending_incomplete(&e->job, err);
}

/* Continues the words "the table" in a message. */
static const char *
are(const struct engine *e)
{
    return e->job.table_count > 1 ? "s are" : " is";
}

/* The user wants the job removed, or it can never continue: remove all of it. */
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
        error_hint(err, "See what is left with: " COMMAND("status") "; remove it with: " COMMAND("abort"),
                   e->job.name, e->job.name);
    }
    error_clear(&failed);
    free(message);
    stop_release();
}

/* Set the hint: the next command to type. */
static void
hint_resume(const struct engine *e, struct error *err)
{
    char *before = err->hint;

    err->hint = NULL;
    if (e->job.swaps == 0)
        error_hint(err,
                   "%s%sThe table%s untouched. To continue, run: " COMMAND(
                       "resume") "; to remove the job, run: " COMMAND("abort"),
                   before != NULL ? before : "", error_hint_separator(before), are(e), e->job.name,
                   e->job.name);
    else
        error_hint(
            err, "%s%s%s%s. To continue, run: " COMMAND("resume") "; to end the job, run: " COMMAND("finish"),
            before != NULL ? before : "", error_hint_separator(before),
            job_is_reversed(&e->job) ? "The new table" : "The original",
            e->job.table_count > 1 ? "s are active" : " is active", e->job.name, e->job.name);
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
    if (requests_any(e, REQUEST_ABORT) && !job_is_reversed(&e->job)) {
        remove_job(e, PHASE_ABORTED, err);
    } else if (!err->connection_lost && !err->stopped &&
               ((e->job.swaps == 0 && e->job.phase == PHASE_INIT) || attach_hopeless(e, err))) {
        remove_job(e, PHASE_FAILED, err);
    } else {
        bool lost = false;

        stop_hold();
        if (!err->connection_lost) {
            session_rollback(e->control);
            lost = !err->stopped && engine_follows(e) && attach_stream_lost(e, err);
            job_state_save_error(e->control, &e->job, err, &ignored);
            requests_give_up(e, err);
        }
        stop_release();
        error_clear(&ignored);
        if (!lost)
            hint_resume(e, err);
    }
}

/* The job remains: the run has ended as --exit-after says. */
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
    e->report->reversed = job_is_reversed(&e->job);
    e->report->window_ends = e->job.window_ends != NULL ? mem_strdup(e->job.window_ends) : NULL;
    return ok;
}

/* While the connection was lost another process has ended the job in order. */
static bool
finished_meanwhile(struct engine *e, struct error *err)
{
    if (!e->job.ended || e->job.phase != PHASE_FINISHED)
        return false;
    log_info("job %s was finished meanwhile", e->job.name);
    error_clear(err);
    e->report->outcome = job_is_reversed(&e->job) ? JOB_FINISHED : JOB_UNDONE;
    return true;
}

/* Run a job that this process has taken, until it or the run ends; attach again after lost connections. */
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

/*
 * A job that cannot be resumed. If it can never continue, its state says so, and it is kept for `abort` to
 * remove.
 */
static void
end_unattached(struct engine *e, struct error *err)
{
    struct error ignored = {0};

    if (err->connection_lost && err->hint == NULL)
        error_hint(err, "Try again with: " COMMAND("resume"), e->options.name);
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
    e->connection = *options->connection;
    e->options.connection = &e->connection;
    e->access = (struct state_access){
        .connection = &e->connection, .owner = options->state_owner, .begins = options->name};
    e->report = report;
    e->began_ms = clock_ms();
    waits_open(e);
    progress_init(&e->progress, options->progress);
}

static void
engine_close(struct engine *e)
{
    e->report->seconds = (double)(clock_ms() - e->began_ms) / 1000;
    stages_close(e);
    engine_forget_dirty(e);
    watch_forget(e);
    free(e->own);
    free(e->tables);
    session_close(e->control);
    waits_close(e);
    early_forget(e);
    plan_set_free(e->plans);
    job_state_clear(&e->job);
    session_settings_clear(&e->settings);
    error_clear(&e->unequal);
    request_list_free(&e->requests.open);
    list_free(&e->seals);
}

static void
log_start(const struct engine *e)
{
    for (int i = 0; i < e->table_count; i++) {
        const struct plan *plan = e->tables[i].plan;
        const struct table *t = plan->source;

        for (int k = 0; k < plan->advice.warnings.count; k++)
            log_warning("%s", plan->advice.warnings.items[k]);
        if (t->estimated_rows >= 0)
            log_info("job %s: %s, about %" PRId64 " %s, %" PRId64 " MB", e->job.name, plan->names.source_sql,
                     t->estimated_rows, count_word(t->estimated_rows, "row", "rows"), t->bytes / 1000000);
        else
            log_info("job %s: %s, %" PRId64 " MB, never analyzed", e->job.name, plan->names.source_sql,
                     t->bytes / 1000000);
    }
}

bool
job_run(const struct job_options *options, struct job_report *report, struct error *err)
{
    struct engine e;
    bool ok = false;

    engine_open(&e, options, report);
    if (job_prepare(&e, err)) {
        log_start(&e);
        ok = drive(&e, err);
    } else if (report->not_needed != NULL) {
        ok = true;
    } else if (err->stopped && !e.entered) {
        err->kind = ERROR_FAILED;
        error_hint(err,
                   "The job had not begun: nothing was created. To start it, give the same command again.");
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
        log_info("job %s continues in phase %s", e.job.name, job_phase_name(e.job.phase));
        ok = drive(&e, err);
    } else if (again_finished(&e, err)) {
        ok = true;
    } else {
        end_unattached(&e, err);
    }
    engine_close(&e);
    return ok;
}

/* Make a request of the job's own, so that it is carried out and recorded like any other. */
static bool
job_ask_rollback(struct engine *e, struct error *err)
{
    const struct plan_options *given = &e->options.plan;
    char *arguments = NULL;
    bool ok = given->reverse_map_count == 0 ||
              (arguments = request_maps_write(given->reverse_map_count, given->reverse_maps, err)) != NULL;

    ok = ok && requests_ask(e, REQUEST_ROLLBACK, arguments, err);
    free(arguments);
    return ok;
}

bool
run_rollback(const struct job_options *options, struct job_report *report, struct error *err)
{
    struct engine e;
    bool ok = false;

    engine_open(&e, options, report);
    e.rollback_only = true;
    if (attach_job(&e, options->name, err)) {
        if (e.job.phase == PHASE_FINISHED) {
            error_set(err, ERROR_ROLLBACK, "job \"%s\" is being finished: a rollback is no longer possible",
                      e.job.name);
            error_hint(err, "Complete it with: " COMMAND("finish"), e.job.name);
        } else if (job_is_reversed(&e.job) && engine_follows(&e)) {
            ok = job_ask_rollback(&e, err) && drive(&e, err);
        } else {
            error_set(err, ERROR_ROLLBACK, "there is nothing to roll back: job \"%s\" is in phase %s",
                      e.job.name, job_phase_name(e.job.phase));
            error_hint(err, "Look at it with: " COMMAND("status"), e.job.name);
        }
    }
    if (!ok && err->kind == ERROR_FAILED && !err->stopped)
        err->kind = ERROR_ROLLBACK;
    engine_close(&e);
    return ok;
}

void
job_report_clear(struct job_report *report)
{
    free(report->not_needed);
    free(report->name);
    free(report->window_ends);
    memset(report, 0, sizeof(*report));
}
