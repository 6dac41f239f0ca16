/* Taking a job that exists: its lock, its plans, and whether the server still has what it needs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "ending.h"
#include "engine.h"
#include "options.h"
#include "stream/timeline.h"

#define JOB_STANDBY "PGRJ3"
#define MARKERS_MOST (INT64_C(1) << 32) /* of one instance */

/* After a swap the plans' sources are what serves, as the swap has left it. */
void
attach_note_serving(struct engine *e)
{
    for (int i = 0; i < e->table_count; i++) {
        struct table *source = e->tables[i].plan->source;

        source->oid = job_serving_oid(&e->job, i);
        free(source->fingerprint);
        source->fingerprint = mem_strdup(e->job.tables[i].serving_fingerprint);
    }
}

void
attach_leg(struct engine *e)
{
    for (int i = 0; i < e->table_count; i++) {
        struct engine_table *t = &e->tables[i];

        if (e->job.leg == 0)
            t->plan = t->plans->forward;
        else
            t->plan = job_is_turned(&e->job) ? t->plans->back : t->plans->again;
    }
    if (engine_follows(e) && e->job.leg > 0)
        attach_note_serving(e);
    e->marker = e->job.instance * MARKERS_MOST;
    e->oldest_snapshot = job_is_turned(&e->job) ? 0 : e->job.swap_xid; /* the original was always complete */
    e->window_ends_ms = e->job.window_s < 0 ? INT64_MAX : clock_ms() + (int64_t)(e->job.window_s * 1000);
}

static bool
require_schema(struct engine *e, const char *name, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(
        e->control, &res, err,
        "SELECT pg_catalog.to_regclass('pgrecast.job') IS NOT NULL, pg_catalog.pg_is_in_recovery()", 0);

    if (ok && result_bool(&res, 0, 1)) {
        ok = error_set(err, ERROR_FAILED, "the server is a standby");
        error_hint(err, "Connect to the primary, or promote this one.");
        memcpy(err->sqlstate, JOB_STANDBY, sizeof(err->sqlstate));
    } else if (ok && !result_bool(&res, 0, 0)) {
        ok = error_set(err, ERROR_USAGE, "there is no job \"%s\" in this database", name);
        error_hint(err, "List the jobs with: pgrecast jobs");
    }
    result_free(&res);
    return ok;
}

/* A swap that the server does not know has not happened: what was received after it would be in the way. */
static bool
remove_later_spools(const struct engine *e, struct error *err)
{
    bool ok = true, there = true;

    for (int leg = e->job.leg + 1; ok && there; leg++) {
        char *directory = stages_spool_directory(e, leg);

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
 * The server has gone on from a fork of its log: what the spool holds beyond that has never happened, nor may
 * what was proven have.
 */
static bool
follow_timeline(struct engine *e, int timeline, struct error *err)
{
    struct spool_identity identity = stages_spool_identity(e, timeline);
    char *directory = stages_spool_directory(e, e->job.leg);
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
    bool ok = session_row(e->control, &res, err,
                          "SELECT (pg_catalog.pg_control_system()).system_identifier, "
                          "pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8)",
                          0);
    int timeline = ok ? (int)strtol(result_text(&res, 0, 1), NULL, 16) : 0;

    if (ok && strcmp(result_text(&res, 0, 0), e->job.system_identifier) != 0) {
        ok = error_set(err, ERROR_FAILED, "job \"%s\" was begun on another server", e->job.name);
        error_detail(err,
                     "Its system identifier was %s, this one's is %s: a dump, an upgrade or another cluster.",
                     e->job.system_identifier, result_text(&res, 0, 0));
        error_hint(err, "Remove what came along of it with: pgrecast %s %s",
                   job_is_turned(&e->job) ? "finish" : "abort", e->job.name);
    }
    result_free(&res);
    return ok &&
           (timeline == e->job.timeline || e->job.phase == PHASE_INIT || follow_timeline(e, timeline, err));
}

/* "gone", "lost" or "kept"; NULL when the server cannot be asked. */
static const char *
slot_fate(struct engine *e)
{
    struct result res = {0};
    struct error ignored = {0};
    const char *fate = NULL;

    if (session_query(
            e->control, &res, &ignored,
            "SELECT coalesce(wal_status, 'lost') FROM pg_catalog.pg_replication_slots WHERE slot_name = $1",
            1, e->job.slot_name))
        fate = result_rows(&res) == 0                         ? "gone"
               : strcmp(result_text(&res, 0, 0), "lost") == 0 ? "lost"
                                                              : "kept";
    result_free(&res);
    error_clear(&ignored);
    return fate;
}

bool
attach_slot_lost(struct engine *e, struct error *err)
{
    const char *fate = slot_fate(e);

    if (fate == NULL || strcmp(fate, "kept") == 0)
        return false;
    if (strcmp(fate, "gone") == 0) {
        error_set(err, ERROR_FAILED, "replication slot \"%s\" is gone", e->job.slot_name);
        error_detail(err, "It was dropped, or the server failed over to one that has no copy of it.");
    } else {
        error_set(err, ERROR_FAILED, "replication slot \"%s\" was invalidated by the server",
                  e->job.slot_name);
        error_detail(err,
                     "It held more WAL than max_slot_wal_keep_size allows, or was taken away for another "
                     "reason in the server's log.");
    }
    if (job_is_turned(&e->job))
        error_hint(err, "The way back has ended; the new table serves. End the job with: pgrecast finish %s",
                   e->job.name);
    else
        error_hint(err,
                   "The table is untouched. Remove what is left of the job with: pgrecast abort %s; then "
                   "start it again.",
                   e->job.name);
    return true;
}

bool
attach_hopeless(struct engine *e, struct error *err)
{
    struct error ignored = {0};
    bool hopeless;

    if (e->control == NULL || e->job.leg > 0)
        return false;
    session_rollback(e->control);
    hopeless = attach_slot_lost(e, err);
    for (int i = 0; !hopeless && i < e->job.table_count; i++) {
        const struct job_table *t = &e->job.tables[i];
        char *now = table_fingerprint(e->control, t->source_oid, &ignored);

        hopeless = now != NULL && !table_fingerprint_same(now, t->fingerprint, true);
        free(now);
    }
    error_clear(&ignored);
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
    return true;
}

/* The last that went through may have been other ones. */
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

/* Where this host keeps the spool, if it was said anew. */
static void
move_spool(struct engine *e)
{
    if (e->options.spool_directory == NULL)
        return;
    free(e->job.spool_directory);
    e->job.spool_directory = mem_printf("%s/%s", e->options.spool_directory, e->job.slot_name);
}

/* Connect, read, lock, take. */
static bool
take(struct engine *e, const char *name, int64_t instance, struct error *err)
{
    struct job_state job;

    session_close(e->control);
    e->entered = false;
    e->control = session_open(e->options.connection, SESSION_SQL, "control", err);
    if (e->control == NULL || !session_execute(e->control, err, "SET synchronous_commit = local") ||
        !require_schema(e, name, err))
        return false;
    if (!job_state_read(e->control, name, &job, err))
        return false;
    job_state_clear(&e->job);
    e->job = job;
    if (e->job.ended)
        return error_set(err, ERROR_FAILED, "job \"%s\" has ended: it is in phase %s", name,
                         job_phase_name(e->job.phase));
    if (instance != 0 && e->job.instance != instance)
        return error_set(err, ERROR_FAILED, "another instance has taken over job \"%s\"", name);
    if (!job_state_lock(e->control, &e->job, err) || !ending_orphans(e->control, &e->job, err) ||
        !job_state_take(e->control, &e->job, instance != 0, err))
        return false;
    e->entered = true;
    /* Once more: what the one before had under way has ended by now, perhaps with a commit. */
    if (!job_state_read(e->control, name, &job, err))
        return false;
    job_state_clear(&e->job);
    e->job = job;
    return true;
}

bool
attach_job(struct engine *e, const char *name, struct error *err)
{
    if (!take(e, name, 0, err) || !job_options_read(&e->options, e->job.options, err) || !load_plans(e, err))
        return false;
    move_spool(e);
    if (!check_server(e, err))
        return false;
    attach_leg(e);
    if (e->job.phase != PHASE_INIT && e->job.phase != PHASE_FINISHED && engine_follows(e) &&
        attach_slot_lost(e, err))
        return false;
    e->report->name = mem_strdup(name);
    return true;
}

/* What may pass by itself: the server is away, or has not noticed yet that our old sessions are. */
static bool
may_pass(const struct error *err)
{
    return err->connection_lost || strcmp(err->sqlstate, JOB_LOCKED) == 0 ||
           strcmp(err->sqlstate, JOB_STANDBY) == 0; /* it may be about to be promoted */
}

bool
attach_again(struct engine *e, struct error *err)
{
    struct backoff backoff = {.first_ms = 200, .most_ms = 5000};
    int64_t until = clock_ms() + (int64_t)e->options.reconnect_s * 1000, instance = e->job.instance;
    char *name = mem_strdup(e->job.name);
    int leg = e->job.leg;
    bool ok = false;

    progress_end(&e->progress);
    log_warning("the connection was lost: %s; trying again for up to %d s", err->message,
                e->options.reconnect_s);
    stages_close(e);
    while (!ok && clock_ms() < until) {
        error_clear(err);
        if (!clock_sleep(backoff_next(&backoff))) {
            error_set(err, ERROR_FAILED, "stopped while the server was away");
            err->stopped = true;
            break;
        }
        forget_plans(e);
        ok = take(e, name, instance, err) && load_plans(e, err) && check_server(e, err);
        if (e->entered)
            instance = e->job.instance;
        if (!ok && !may_pass(err))
            break;
    }
    if (ok) {
        log_info("connected again: the job goes on in phase %s", job_phase_name(e->job.phase));
        attach_leg(e);
        if (e->job.leg != leg) { /* the commit of the swap was the last that went through */
            engine_forget_dirty(e);
            e->confirm_held = false;
        }
    } else if (!err->stopped && may_pass(err)) {
        error_context(err, "the server did not come back within %d s", e->options.reconnect_s);
    }
    free(name);
    return ok;
}
