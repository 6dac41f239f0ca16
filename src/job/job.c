#include "job/job.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/stop.h"
#include "engine.h"

static const struct phase_step {
    enum job_phase phase;
    bool (*run)(struct engine *e, struct error *err);
    const char *comment;
} steps[] = {
    {PHASE_INIT, phase_start, "publication, slot, start barrier, receiver, shadow"},
    {PHASE_COPY, phase_copy, "rows older than the barrier, in chunks of blocks"},
    {PHASE_INDEX, phase_index, "the key, what came before the barrier, the other indexes"},
    {PHASE_CATCHUP, phase_catchup, "the changes that came meanwhile"},
    {PHASE_VERIFY, phase_verify, "both tables at one log position"},
    {PHASE_READY, phase_ready, "in sync until the cutover may come"},
    {PHASE_CUTOVER, phase_cutover, "one lock, one transaction"},
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
    struct buffer name = {0};
    struct timespec now;
    uint64_t hash = XXH3_64bits(salt, strlen(salt));

    clock_gettime(CLOCK_REALTIME, &now);
    hash = XXH3_64bits_withSeed(&now, sizeof(now), hash ^ (uint64_t)getpid());
    buffer_add_text(&name, "pgrecast_");
    for (const char *c = job; *c != '\0' && name.len < 48; c++) {
        if (isascii((unsigned char)*c) && isalnum((unsigned char)*c))
            buffer_add_char(&name, (char)tolower((unsigned char)*c));
        else if (name.data[name.len - 1] != '_')
            buffer_add_char(&name, '_');
    }
    buffer_printf(&name, "%s%08" PRIx32, name.data[name.len - 1] == '_' ? "" : "_", (uint32_t)hash);
    return buffer_take(&name);
}

static bool
describe_job(struct engine *e, struct error *err)
{
    const struct job_options *o = e->options;
    struct job_state *job = &e->job;
    struct result res = {0};
    char *parent;

    if (!session_row(e->control, &res, err,
                     "SELECT (pg_catalog.pg_control_system()).system_identifier, "
                     "(pg_catalog.pg_control_checkpoint()).timeline_id, pg_catalog.current_database()",
                     0))
        return false;
    job->name = mem_strdup(o->name != NULL ? o->name : e->plan->source->name);
    job->schema_name = mem_strdup(e->plan->source->schema);
    job->table_name = mem_strdup(e->plan->source->name);
    job->source_oid = e->plan->source->oid;
    job->sql = mem_strdup(e->plan->sql);
    job->fingerprint = mem_strdup(e->plan->source->fingerprint);
    job->system_identifier = mem_strdup(result_text(&res, 0, 0));
    job->timeline = (int)result_int(&res, 0, 1);
    job->slot_name = make_slot_name(job->name, result_text(&res, 0, 2));
    job->publication_name = mem_strdup(job->slot_name);
    parent = o->spool_directory != NULL ? mem_strdup(o->spool_directory) : default_spool_parent();
    job->spool_directory = mem_printf("%s/%s", parent, job->slot_name);
    free(parent);
    result_free(&res);
    e->report->name = mem_strdup(job->name);
    return true;
}

/* Everything that can refuse, before anything is created. */
static bool
prepare(struct engine *e, struct error *err)
{
    e->control = session_open(e->options->connection, SESSION_SQL, "control", err);
    if (e->control == NULL)
        return false;
    if (!session_execute(e->control, err, "SET synchronous_commit = local") ||
        !job_check_server(e->control, e->options->connection, err))
        return false;
    e->plan = plan_make(e->control, &e->options->plan, err);
    if (e->plan == NULL || !describe_job(e, err))
        return false;
    if (!job_state_install(e->control, err) || !job_state_create(e->control, &e->job, err))
        return false;
    e->entered = true;
    return true;
}

/* Close what moves data; what it has made is in the ledger. */
static void
close_stages(struct engine *e)
{
    apply_close(e->apply);
    e->apply = NULL;
    stream_stop(e->stream);
    e->stream = NULL;
    spool_close(e->spool);
    e->spool = NULL;
}

static bool
run_phases(struct engine *e, struct error *err)
{
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (!engine_phase(e, steps[i].phase, err) || !steps[i].run(e, err))
            return false;
    }
    return true;
}

/* After the swap nothing can take it back: the rest is tidying up, and a failure of it does not undo the
 * result. */
static bool
end_swapped(struct engine *e, struct error *err)
{
    bool ok;

    stop_hold();
    if (e->options->keep_original)
        ok = ledger_forget(e->control, &e->job, "table", e->plan->old_sql, err);
    else
        ok = true;
    ok = ok && ledger_undo(e->control, &e->job, err) &&
         job_state_end(e->control, &e->job, PHASE_FINISHED, NULL, err);
    stop_release();
    if (!ok) {
        error_context(err, "the table is cut over, but the clean-up is not complete");
        error_hint(err, "Complete it with: pgrecast finish %s", e->job.name);
    }
    return ok;
}

/* What the database says, whatever this process believes. */
static bool
was_swapped(struct engine *e)
{
    struct result res = {0};
    struct error ignored = {0};
    bool swapped = session_query(e->control, &res, &ignored,
                                 "SELECT FROM pgrecast.job WHERE name = $1 AND swapped_at IS NOT NULL", 1,
                                 e->job.name) &&
                   result_rows(&res) > 0;

    result_free(&res);
    error_clear(&ignored);
    return swapped;
}

/* After a failure: nothing is left behind where the server can be reached. The first error stays the one
 * reported. */
static void
clean_up(struct engine *e, struct error *err)
{
    struct error failed = {0};
    char *message;
    bool ok;

    if (!e->entered)
        return;
    stop_hold();
    message = mem_printf("%s%s%s", err->message, err->detail != NULL ? "\n" : "",
                         err->detail != NULL ? err->detail : "");
    session_rollback(e->control);
    if (PQstatus(session_conn(e->control)) !=
        CONNECTION_OK) { /* kept where it lives: it holds the job's lock */
        session_close(e->control);
        e->control = session_open(e->options->connection, SESSION_SQL, "control", &failed);
    }
    if (e->control != NULL && was_swapped(e)) {
        log_warning("the table is cut over");
        e->job.swapped = true;
        free(message);
        stop_release();
        end_swapped(e, &failed);
        error_clear(&failed);
        return;
    }
    ok = e->control != NULL && ledger_undo(e->control, &e->job, &failed) &&
         job_state_end(e->control, &e->job, err->stopped ? PHASE_ABORTED : PHASE_FAILED, message, &failed);
    free(message);
    if (ok && err->hint == NULL)
        error_hint(err, "The table is untouched and everything the job had made is removed.");
    if (!ok) {
        log_warning("the clean-up is not complete: %s", failed.message);
        error_hint(err, "See what is left with: pgrecast status %s", e->job.name);
    }
    error_clear(&failed);
    stop_release();
}

static void
engine_close(struct engine *e)
{
    close_stages(e);
    session_close(e->control);
    plan_free(e->plan);
    job_state_clear(&e->job);
}

static void
log_start(const struct engine *e)
{
    const struct table *t = e->plan->source;

    if (t->estimated_rows >= 0)
        log_info("job %s: %s, about %" PRId64 " rows, %" PRId64 " MB", e->job.name, e->plan->source_sql,
                 t->estimated_rows, t->bytes / 1000000);
    else
        log_info("job %s: %s, %" PRId64 " MB, never analyzed", e->job.name, e->plan->source_sql,
                 t->bytes / 1000000);
}

bool
job_run(const struct job_options *options, struct job_report *report, struct error *err)
{
    struct engine e = {.options = options, .report = report, .began_ms = clock_ms()};
    bool ok = false;

    memset(report, 0, sizeof(*report));
    progress_init(&e.progress, options->progress);
    if (prepare(&e, err)) {
        log_start(&e);
        ok = run_phases(&e, err);
        progress_end(&e.progress);
        if (e.apply != NULL)
            report->changes_applied = apply_changes(e.apply);
        close_stages(&e);
        if (e.job.swapped)
            ok = end_swapped(&e, err) && ok;
        else
            clean_up(&e, err);
    }
    report->seconds = (double)(clock_ms() - e.began_ms) / 1000;
    engine_close(&e);
    return ok;
}

void
job_report_clear(struct job_report *report)
{
    free(report->name);
    memset(report, 0, sizeof(*report));
}
