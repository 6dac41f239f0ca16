/* Taking a job that exists: its lock, its plans, and whether the server still has what it needs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "core/clock.h"
#include "core/command.h"
#include "core/log.h"
#include "core/mem.h"
#include "ending.h"
#include "engine.h"
#include "options.h"
#include "pg/sqlstate.h"
#include "rows/code.h"
#include "run.h"
#include "sessions.h"
#include "space.h"
#include "stages.h"
#include "state/guard.h"
#include "stream/timeline.h"
#include "tables.h"
#include "unequal.h"
#include "watch.h"
#include "window.h"

#define MARKERS_MOST (INT64_C(1) << 32) /* how many markers one instance can write */

/* After a swap the source of each plan is the table that is active, as the swap has left it. */
void
attach_note_active(struct engine *e)
{
    for (int i = 0; i < e->table_count; i++) {
        struct table *source = e->tables[i].plan->source;

        source->oid = job_active_oid(&e->job, i);
    }
}

void
attach_direction(struct engine *e)
{
    watch_forget(e);
    for (int i = 0; i < e->table_count; i++) {
        struct engine_table *t = &e->tables[i];

        if (e->job.swaps == 0)
            t->plan = t->plans->forward;
        else
            t->plan = job_is_reversed(&e->job) ? t->plans->back : t->plans->again;
    }
    if (engine_follows(e) && e->job.swaps > 0)
        attach_note_active(e);
    e->marker = e->job.instance * MARKERS_MOST;
    /* In the reverse direction the shadow is the original, which was complete for every snapshot. */
    e->oldest_snapshot = job_is_reversed(&e->job) ? 0 : e->job.swap_xid;
    window_begin(e);
}

static bool
attach_refuse_older(const char *name, struct error *err)
{
    error_set(err, ERROR_FAILED,
              "job \"%s\" was made by an older version of pgrecast (its format is older than %d)", name,
              JOB_FORMAT);
    return error_hint(err, "Use that version, or remove the job with: " COMMAND("abort"), name);
}

/* Check that the job is one of this version's, and that the server can be written to. */
static bool
require_state(struct engine *e, enum state_presence presence, const char *name, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(e->control, &res, err, "SELECT pg_catalog.pg_is_in_recovery() AS standby", 0);

    if (ok && row_bool(&res, 0, "standby")) {
        ok = error_set(err, ERROR_FAILED, "the server is a standby");
        error_hint(err, "Connect to the primary, or promote this one.");
        memcpy(err->sqlstate, JOB_STANDBY, sizeof(err->sqlstate));
    } else if (ok && presence == STATE_NONE) {
        ok = job_state_missing(name, 0, err);
    } else if (ok && presence == STATE_OLDER) {
        struct job_state older;

        ok = job_state_read_older(e->control, name, &older, err) && attach_refuse_older(name, err);
        job_state_clear(&older);
    }
    result_free(&res);
    return ok;
}

/*
 * A swap that the server does not know has not happened. What was received after it is removed, because it
 * would be in the way of the next direction, whose spool has the same directory.
 */
static bool
remove_later_spools(const struct engine *e, struct error *err)
{
    bool ok = spool_check_own(e->job.spool_directory, err), there = true;

    for (int swaps = e->job.swaps + 1; ok && there; swaps++) {
        char *directory = stages_spool_directory(e, swaps);

        there = spool_exists(directory);
        ok = !there || spool_remove(directory, err);
        free(directory);
    }
    return ok;
}

static lsn_t
furthest_applied(const struct engine *e)
{
    lsn_t furthest = 0;

    for (int i = 0; i < e->job.table_count; i++)
        if (e->job.tables[i].applied > furthest)
            furthest = e->job.tables[i].applied;
    return furthest;
}

/*
 * The server was promoted, and its log forks from the job's log. The changes that the spool holds beyond the
 * fork have never happened on this server, and neither may what the parity was proven with.
 */
static bool
follow_timeline(struct engine *e, int timeline, struct error *err)
{
    struct spool_identity identity = stages_spool_identity(e, timeline);
    char *directory = stages_spool_directory(e, e->job.swaps);
    char text[LSN_TEXT_SIZE];
    lsn_t fork;
    bool ok;

    ok = stream_fork_lsn(e->options.connection, (uint32_t)e->job.timeline, &fork, err);
    if (ok)
        log_info("the server was promoted: timeline %d, was %d, from %s on", timeline, e->job.timeline,
                 lsn_format(fork, text));
    if (ok && furthest_applied(e) > fork)
        ok = error_set(err, ERROR_FAILED, "the job has applied changes that the server does not know");
    ok = ok && (!spool_exists(directory) || spool_fork(directory, &identity, fork, err)) &&
         remove_later_spools(e, err);
    if (ok) {
        engine_forget_dirty(e);
        e->job.timeline = timeline;
        ok = job_state_save_start(e->control, &e->job, err);
    }
    free(directory);
    return ok ? true : error_context(err, "the server is on another timeline");
}

static bool
check_server(struct engine *e, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(
        e->control, &res, err,
        "SELECT (pg_catalog.pg_control_system()).system_identifier, "
        "pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8) AS timeline",
        0);
    int timeline = ok ? (int)strtol(row_text(&res, 0, "timeline"), NULL, 16) : 0;

    if (ok && strcmp(row_text(&res, 0, "system_identifier"), e->job.system_identifier) != 0) {
        ok = error_set(err, ERROR_FAILED, "job \"%s\" was begun on another server", e->job.name);
        error_detail(err,
                     "Its system identifier was %s, this one's is %s: a dump, an upgrade or another cluster.",
                     e->job.system_identifier, row_text(&res, 0, "system_identifier"));
        error_hint(err,
                   job_is_reversed(&e->job) ? "Remove what came along of it with: " COMMAND("finish")
                                            : "Remove what came along of it with: " COMMAND("abort"),
                   e->job.name);
    }
    result_free(&res);
    return ok &&
           (timeline == e->job.timeline || e->job.phase == PHASE_INIT || follow_timeline(e, timeline, err));
}

bool
attach_stream_lost(struct engine *e, struct error *err)
{
    struct error failed = {0};

    if (watch_slot_lost(e, err))
        return true;
    if (!watch_published(e, &failed) && e->job.held_for_good)
        error_move(err, &failed);
    error_clear(&failed);
    return e->job.held_for_good;
}

bool
attach_hopeless(struct engine *e, struct error *err)
{
    bool hopeless;

    if (e->control == NULL || e->job.swaps > 0)
        return false;
    session_rollback(e->control);
    hopeless = attach_stream_lost(e, err) || watch_hopeless(e, err);
    return hopeless;
}

static bool
load_plans(struct engine *e, struct error *err)
{
    struct plan_set *plans;

    if (e->plans != NULL)
        return true;
    plans = plan_set_read(e->job.plan, err);
    if (plans == NULL)
        return error_context(err, "the plan stored with the job cannot be read");
    if (plans->table_count != e->job.table_count) {
        plan_set_free(plans);
        return error_set(err, ERROR_FAILED, "the plan stored with the job is not of its tables");
    }
    engine_set_plans(e, plans);
    return plan_set_trust(e->control, plans, e->options.plan.trusted_count, e->options.plan.trusted, err);
}

/*
 * Refuse code of others that this session would run with its rights: the role that resumes the job may be
 * another one.
 */
static bool
attach_check_code(struct engine *e, struct error *err)
{
    bool ok = true;

    for (int i = 0; ok && engine_follows(e) && i < e->table_count; i++)
        ok = code_check(e->control, e->tables[i].plan, err);
    ok = ok && (!engine_follows(e) || code_check_written(e->control, e->plans, err));
    if (!ok && err->kind == ERROR_FAILED && !err->connection_lost && err->sqlstate[0] == '\0')
        err->kind = ERROR_REFUSED;
    return ok;
}

/*
 * Plans are loaded anew after a lost connection: the last commit whose answer was lost may have stored other
 * plans.
 */
static void
forget_plans(struct engine *e)
{
    plan_set_free(e->plans);
    e->plans = NULL;
    for (int i = 0; i < e->table_count; i++) {
        e->tables[i].plans = NULL;
        e->tables[i].plan = NULL;
    }
}

/* The directory of the spool on this host, if the command line names another one. */
static void
move_spool(struct engine *e)
{
    char *parent;

    if (e->options.spool_directory == NULL)
        return;
    parent = space_spool_parent(&e->options);
    free(e->job.spool_directory);
    e->job.spool_directory = mem_printf("%s/%s", parent, e->job.slot_name);
    free(parent);
}

bool
attach_settings(struct engine *e, const char *stored, struct error *err)
{
    bool ok = session_settings_read(e->control, stored, &e->settings, err) &&
              session_settings_adopt(e->control, &e->settings, err);

    e->connection.settings = ok ? &e->settings : NULL;
    return ok;
}

/* Connect, read the job's row, take its lock, become its instance. */
static bool
attach_take(struct engine *e, const char *name, int64_t instance, struct error *err)
{
    enum state_presence presence;
    struct job_state job;

    session_close(e->control);
    e->entered = false;
    e->control = state_open(&e->access, "control", &presence, err);
    if (e->control == NULL || !require_state(e, presence, name, err))
        return false;
    engine_kill_point("attach-begun");
    if (!job_state_read(e->control, name, &job, err))
        return false;
    job_state_clear(&e->job);
    e->job = job;
    if (e->job.ended)
        return job_state_ended(&e->job, err);
    if (instance != 0 && e->job.instance != instance)
        return error_set(err, ERROR_FAILED, "another instance has taken over job \"%s\"", name);
    if (e->job.settings == NULL) /* stored by a build that did not keep settings yet */
        return error_set(err, ERROR_FAILED, "the state of job \"%s\" has no session settings", name);
    if (!attach_settings(e, e->job.settings, err) || !job_state_lock(e->control, &e->job, err) ||
        !ending_orphans(e->control, &e->job, err) || !job_state_take(e->control, &e->job, instance != 0, err))
        return false;
    e->entered = true;
    /*
     * Read the row again: the statements of the previous instance have ended by now, and one may have been
     * committed.
     */
    window_ask(e);
    if (!job_state_read(e->control, name, &job, err))
        return false;
    job_state_clear(&e->job);
    e->job = job;
    return guard_admit(e->control, &e->job, err);
}

/* Too few sessions are no error of the job: its row gets no error. */
static bool
attach_sessions(struct engine *e, struct error *err)
{
    char *why;
    bool ok = sessions_fit(e->control, &e->options.workers, &why, err);

    if (why != NULL) {
        e->entered = false;
        sessions_refuse(why, err);
    }
    free(why);
    return ok;
}

/* The command line says where this run ends: that replaces what is stored. */
static bool
attach_exit(struct engine *e, enum job_exit exit, struct error *err)
{
    char *options;
    bool ok;

    if (exit == EXIT_AT_END)
        return true;
    if (!job_check_left_alone(e, exit, err)) {
        e->entered = false; /* the job's row gets no error: nothing is wrong with the job */
        return false;
    }
    e->options.exit = exit;
    options = job_options_write(&e->options);
    ok = job_state_save_options(e->control, &e->job, options, err);
    free(options);
    return ok;
}

bool
attach_job(struct engine *e, const char *name, struct error *err)
{
    enum job_exit exit = e->options.exit;

    if (!attach_take(e, name, 0, err) || !job_options_read(&e->options, e->job.options, err) ||
        !attach_exit(e, exit, err) || !attach_sessions(e, err) || !load_plans(e, err))
        return false;
    move_spool(e);
    if (!check_server(e, err) || (e->job.phase != PHASE_FINISHED && !watch_note_swapped(e, err)))
        return false;
    attach_direction(e);
    unequal_take_job(e);
    if (!attach_check_code(e, err))
        return false;
    if (e->job.phase != PHASE_INIT && e->job.phase != PHASE_FINISHED && engine_follows(e) &&
        attach_stream_lost(e, err))
        return false;
    if (!window_check_resume(e, err)) {
        e->entered = false; /* the job's row gets no error: nothing is wrong with the job */
        return false;
    }
    e->report->name = mem_strdup(name);
    return true;
}

#define WORKED_MS 30000 /* a connection that lasts longer counts as good */

/*
 * Errors that may pass by themselves: the server cannot be reached, or its sessions for our lost connections
 * have not ended yet.
 */
static bool
may_pass(const struct error *err)
{
    /* A standby may be about to be promoted. */
    return err->connection_lost || sqlstate_is(err, JOB_LOCKED) || sqlstate_is(err, JOB_STANDBY);
}

/*
 * Until when to try to connect. Connections that are lost soon after they were made, as where the role may
 * have too few of them, belong to one row of failures: they share one time limit, and the pauses between them
 * grow.
 */
static int64_t
lost_until(struct engine *e)
{
    int64_t now = clock_ms();

    if (e->lost.since_ms == 0 || now - e->lost.back_ms > WORKED_MS) {
        e->lost.since_ms = now;
        e->lost.backoff = (struct backoff){.first_ms = 200, .most_ms = 5000};
    }
    return e->lost.since_ms + (int64_t)e->options.reconnect_s * 1000;
}

bool
attach_again(struct engine *e, struct error *err)
{
    int64_t until = lost_until(e), instance = e->job.instance;
    char *name = mem_strdup(e->job.name);
    int swaps = e->job.swaps;
    bool ok = false, tried = false;

    progress_end(&e->progress);
    log_warning("the connection was lost: %s; trying again for up to %d s", err->message,
                e->options.reconnect_s);
    stages_close(e);
    while (!ok && clock_ms() < until) {
        tried = true;
        error_clear(err);
        if (!clock_sleep(backoff_next(&e->lost.backoff))) {
            error_set(err, ERROR_FAILED, "stopped while the server was away");
            err->stopped = true;
            break;
        }
        forget_plans(e);
        ok = attach_take(e, name, instance, err) && load_plans(e, err) && check_server(e, err) &&
             (e->job.phase == PHASE_FINISHED || watch_note_swapped(e, err));
        if (e->entered)
            instance = e->job.instance;
        if (!ok && !may_pass(err))
            break;
    }
    e->lost.back_ms = clock_ms();
    if (ok) {
        log_info("connected again: the job continues in phase %s", job_phase_name(e->job.phase));
        attach_direction(e);
        window_check_passed(e, "while the server was away");
        if (e->job.swaps != swaps) { /* the commit of the swap had succeeded although its answer was lost */
            engine_forget_dirty(e);
            e->confirm_held = false;
        }
    } else if (!err->stopped && may_pass(err)) {
        error_context(
            err, tried ? "the server did not come back within %d s" : "no connection has lasted for %d s",
            e->options.reconnect_s);
    }
    free(name);
    return ok;
}
