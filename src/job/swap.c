/* The swap, in either direction: the wait for the first one, and what each swap needs of the job. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "core/clock.h"
#include "core/command.h"
#include "core/count.h"
#include "core/log.h"
#include "core/mem.h"
#include "carry_index.h"
#include "early.h"
#include "engine.h"
#include "follow.h"
#include "inactive.h"
#include "load.h"
#include "locks.h"
#include "parity.h"
#include "phases.h"
#include "requests.h"
#include "rows/code.h"
#include "stages.h"
#include "standby.h"
#include "state/event.h"
#include "state/guard.h"
#include "state/ledger.h"
#include "state/swap.h"
#include "swap.h"
#include "tables.h"
#include "unequal.h"
#include "waits.h"
#include "watch.h"
#include "window.h"

#define DRAIN_MOST_MS 1000 /* time for draining under the lock; after it the lock is given back */
/* the spool is not synced for so long, because draining would wait for the sync */
#define LOCK_MOST_MS 1000
/*
 * If a marker passes within this time, the apply is near enough to the end of the stream to ask for the lock.
 */
#define NEAR_MS 200
#define NEAR_ROUNDS 50

/* While rows are set aside the tables are not equal, and the differing keys are known already. */
static bool
refuse_comparison(struct engine *e, struct error *err)
{
    follow_refuse_blocked(e, err);
    err->kind = ERROR_PARITY;
    return error_context(err, "the tables are not equal");
}

/* The answer to a verification. The caller frees it. */
static char *
verification_json(const struct state_verification *v)
{
    char lsn[LSN_TEXT_SIZE];

    return mem_printf("{\"lsn\": \"%s\", \"rows\": %" PRId64 ", \"mismatches\": %" PRId64
                      ", \"hash\": \"%s\"}",
                      lsn_format(v->lsn, lsn), v->rows, v->mismatches, v->hash);
}

/*
 * Every request that was made before the verification began is answered, also where parity failed; the job
 * continues. A request that is made during the verification is answered by the next one.
 */
bool
swap_answer_verify(struct engine *e, struct error *err)
{
    struct error failed = {0};
    char *ids, *result = NULL;
    bool blocked = engine_blocked(e) > 0, ok, found, answered;

    if (!requests_any(e, REQUEST_VERIFY))
        return true;
    ids = requests_ids(e, REQUEST_VERIFY);
    ok = blocked ? refuse_comparison(e, &failed) : parity_verify(e, &failed);
    found = ok || (failed.kind == ERROR_PARITY && !failed.connection_lost && !failed.stopped);
    if (found && !blocked)
        result = verification_json(&e->verification);
    if (!ok && found && !blocked) {
        log_warning("%s%s%s", failed.message, failed.detail != NULL ? ": " : "",
                    failed.detail != NULL ? failed.detail : "");
        unequal_hint(e, &failed);
    }
    answered = found && requests_answer_ids(e, ids, ok ? NULL : &failed, result, err);
    if (!found)
        error_move(err, &failed);
    error_clear(&failed);
    free(result);
    free(ids);
    return answered;
}

enum step
phase_ready(struct engine *e, struct error *err)
{
    bool verify = e->options.verify;

    if (!stages_open_stream(e, err) || !stages_open_apply(e, err))
        return STEP_FAILED;
    engine_kill_point("ready");
    if (e->options.exit == EXIT_IN_SYNC)
        return STEP_LEAVE;
    if (e->options.hold && !requests_any(e, REQUEST_CUTOVER))
        log_info("in sync; cut over with: " COMMAND("cutover"), e->job.name);
    while ((e->options.hold && !requests_any(e, REQUEST_CUTOVER)) || e->job.held != NULL) {
        if (!engine_apply(e, err) || !swap_answer_verify(e, err) || !carry_index_build(e, err) ||
            (verify && engine_dirty_truncated(e) && !unequal_verify(e, err)) ||
            (verify && !engine_dirty_truncated(e) && !parity_reduce_dirty(e, err)))
            return STEP_FAILED;
    }
    return STEP_NEXT;
}

/* Of the swap that would be the next one. */
static const char *
swap_name(const struct engine *e)
{
    return job_is_reversed(&e->job) ? "rollback" : "cutover";
}

/* Partitions may have been added since the start, and other sessions may hold more locks. */
static bool
locks_suffice(struct engine *e, struct error *err)
{
    char *oids = watch_oids(e, true);
    int64_t partitions = 0;
    bool ok;

    for (int i = 0; i < e->table_count; i++)
        partitions += locks_of_partitions(e->tables[i].plan);
    ok = locks_fit(e->control, oids, partitions, ERROR_LOCK, err);

    free(oids);
    return ok;
}

/* Before an attempt: everything that can be done without the lock. */
static bool
hook_prepare(void *arg, struct error *err)
{
    struct engine *e = arg;

    waits_settle(e, "autovacuum");
    if ((!job_is_reversed(&e->job) && !early_fill(e, err)) || !inactive_check(e, err) ||
        !inactive_refuse_partitions(e, err) || !inactive_refuse_unjudged(e, err) ||
        ((e->distrusted || (e->options.verify && (!e->proven || engine_dirty_truncated(e)))) &&
         !parity_verify(e, err)))
        return false;
    for (int i = 0; i < NEAR_ROUNDS; i++) {
        int64_t asked;

        if (e->options.verify && !parity_reduce_dirty(e, err))
            return false;
        asked = clock_ms();
        if (!engine_sync(e, err))
            return false;
        if (clock_ms() - asked < NEAR_MS)
            break;
    }
    if (e->options.verify && !parity_reduce_last(e, err))
        return false;
    if (!watch_now(e, err))
        return false;
    e->swap_held = e->job.held != NULL;
    if (e->swap_held)
        return watch_refuse(e, err);
    if (!locks_suffice(e, err))
        return false;
    stream_defer_sync(e->stream, clock_ms() + e->options.lock_timeout_ms + LOCK_MOST_MS);
    if (!engine_to_boundary(e, err))
        return false;
    for (int i = 0; i < e->table_count; i++)
        if (!apply_clear(e->tables[i].apply, err))
            return false;
    return true;
}

/*
 * Both directions share the slot: the changes after the swap must still be in it when the next direction
 * reads it. So from here on no position is confirmed to the server.
 */
static bool
hook_enter(void *arg, struct error *err)
{
    struct engine *e = arg;

    engine_kill_point(job_is_reversed(&e->job) ? "rollback-locked" : "cutover-locked");
    e->confirm_held = true;
    stream_limit(e->stream, stream_confirmed(e->stream));
    for (int i = 0; i < e->table_count; i++)
        apply_enter(e->tables[i].apply);
    return engine_send_marker(e, err);
}

static void
hook_look(void *arg, struct pipeline *look)
{
    inactive_add(arg, look);
    early_add(arg, look);
    watch_add(arg, look);
}

static bool
hook_looked(void *arg, const struct pipeline *look, int first, struct error *err)
{
    struct engine *e = arg;
    int next = first + 1;

    if (!inactive_looked(e, pipeline_result(look, first), err))
        return false;
    if (early_is_checked(e) && !early_looked(e, pipeline_result(look, next++), err))
        return false;
    return watch_check(e, look, next, err);
}

/* The lock is held. So every commit of a writer is in the log already, and the marker follows it. */
static bool
hook_drain(void *arg, struct error *err)
{
    struct engine *e = arg;
    int64_t until = clock_ms() + DRAIN_MOST_MS;

    if (!engine_await_marker(e, err))
        return false;
    for (int i = 0; i < e->table_count; i++)
        if (!code_check(e->applying, e->tables[i].plan, err))
            return false;
    if (!code_check_written(e->applying, e->plans, err))
        return false;
    for (int i = 0; i < e->table_count; i++)
        apply_set_deadline(e->tables[i].apply, until);
    while (!engine_passed_marker(e)) {
        switch (engine_drain(e, err)) {
        case APPLY_FAILED:
            return false;
        case APPLY_LATE:
            return error_set(err, ERROR_LOCK, "the last changes were not applied within %d ms",
                             DRAIN_MOST_MS);
        case APPLY_IDLE:
            if (stream_failed(e->stream, err))
                return false;
            break;
        default:
            break;
        }
        if (clock_ms() > until)
            return error_set(err, ERROR_LOCK, "the last changes were not applied within %d ms",
                             DRAIN_MOST_MS);
    }
    return true;
}

static bool
hook_check(void *arg, struct error *err)
{
    struct engine *e = arg;

    if (engine_blocked(e) > 0)
        return follow_refuse_blocked(e, err);
    return !e->options.verify || parity_check_dirty(e, err);
}

/* The length of the rollback window in seconds; negative: no end. */
static double
window_seconds(const struct engine *e)
{
    return e->options.window_s > 0 ? (double)e->options.window_s : -1;
}

/* The kind of request that the swap carries out. Its answer is committed with the swap. */
static enum request_kind
request_of(const struct engine *e)
{
    return job_is_reversed(&e->job) ? REQUEST_ROLLBACK : REQUEST_CUTOVER;
}

/*
 * To be run in the swap's own transaction. From now on the other tables are those that will be removed. The
 * definitions of the active tables are stored as they are here, so that a later change of one is noticed
 * before it could be lost.
 */
static void
record_tables(struct engine *e, struct pipeline *p)
{
    char *active = watch_oids(e, false), *inactive = watch_oids(e, true); /* the swap exchanges them */

    for (int i = 0; i < e->table_count; i++)
        state_swap_add_other(p, &e->job, job_other_oid(&e->job, i), job_active_oid(&e->job, i),
                             e->tables[i].plan->names.old_sql);
    state_swap_add_active(p, &e->job, active, e->own);
    state_swap_add_versions(p, &e->job, inactive);
    free(inactive);
    free(active);
}

static void
move_guard(struct engine *e, int table, struct pipeline *p)
{
    const struct plan *plan = e->tables[table].plan;
    const struct guarded active = {.sql = plan->names.source_sql,
                                   .partitioned = plan->target->partition_key != NULL};
    const struct guarded inactive = {.sql = plan->names.old_sql,
                                     .partitioned = plan->source->partition_key != NULL};

    guard_add_move(p, &e->job, plan->names.shadow_sql, &active, &inactive, job_active_oid(&e->job, table));
}

static bool
hook_record(void *arg, struct pipeline *p, struct error *err)
{
    struct engine *e = arg;
    int place = p->count, reversed = place + e->table_count;
    char *requests = requests_ids(e, request_of(e));
    bool ok;

    for (int i = 0; i < e->table_count; i++)
        apply_add_position(e->tables[i].apply, p);
    state_swap_add(p, &e->job, e->next == PHASE_FINISHED ? PHASE_CUTOVER : e->next, window_seconds(e),
                   requests);
    for (int i = 0; i < e->table_count; i++)
        move_guard(e, i, p);
    guard_add_seal(p, &e->job);
    /* A definition is read under the same settings as for the plan. */
    session_add_settings(e->applying, p, false);
    record_tables(e, p);
    early_record(e, p);
    ok = pipeline_run(e->applying, p, err) && state_swap_saved(pipeline_result(p, reversed), err);
    for (int i = 0; ok && i < e->table_count; i++)
        ok = apply_position_saved(pipeline_result(p, place + i), err);
    if (ok)
        engine_kill_point(job_is_reversed(&e->job) ? "rollback-swapped" : "cutover-swapped");
    free(requests);
    return ok;
}

static bool
hook_is_recorded(void *arg, struct session *s, uint64_t xid, bool *recorded, struct error *err)
{
    const struct engine *e = arg;

    return state_swap_is_recorded(s, &e->job, xid, recorded, err);
}

static bool
hook_leave(void *arg, bool committed, struct error *err)
{
    struct engine *e = arg;
    bool ok = engine_await_marker(e, err); /* where the answer was not read yet */

    if (committed)
        engine_kill_point(job_is_reversed(&e->job) ? "rollback-committed" : "cutover-committed");
    else
        e->confirm_held = false;
    for (int i = 0; i < e->table_count; i++)
        ok = apply_leave(e->tables[i].apply, committed, err) && ok;
    return ok;
}

/*
 * Write the blocker to the events, where everybody can read it. A failure to write it does not end the
 * attempts.
 */
static void
hook_given_up(void *arg, int attempt, const struct error *why)
{
    struct engine *e = arg;
    struct error ignored = {0};
    char *text;

    if (!event_attempt(e->control, &e->job, attempt, why, &ignored))
        log_warning("the attempt is not recorded: %s", ignored.message);
    error_clear(&ignored);
    text = mem_printf("the next attempt of the %s; the last one: %s%s%s", swap_name(e), why->message,
                      why->detail != NULL ? ": " : "", why->detail != NULL ? why->detail : "");
    waits_declare(e, "lock", text);
    free(text);
}

static void
hook_waits(void *arg, const char *kind, const char *text)
{
    waits_declare(arg, kind, text);
}

/* Write the figures of the swap, for everybody and for those who requested it (ids). */
static bool
save_report(struct engine *e, const char *ids, struct error *err)
{
    struct state_swap_figures f = {.attempts = e->cutover.attempts,
                                   .lock_wait_ms = e->cutover.lock_wait_ms,
                                   .lock_held_ms = e->cutover.lock_held_ms};
    char *result = mem_printf("{\"attempts\": %d, \"lock_wait_ms\": %.3f, \"lock_held_ms\": %.3f}",
                              f.attempts, f.lock_wait_ms, f.lock_held_ms);
    bool ok;

    e->report->cutover_attempts = f.attempts;
    e->report->lock_wait_ms = f.lock_wait_ms;
    e->report->lock_held_ms = f.lock_held_ms;
    ok = state_progress_swapped(e->control, &e->job, &f, err) &&
         request_end(e->control, &e->job, ids, NULL, result, err);
    free(result);
    return ok;
}

/* Set the job's state in memory as the swap's transaction has written it. */
static bool
turn(struct engine *e, struct error *err)
{
    struct job_state job;
    bool ok;

    window_ask(e);
    ok = job_state_read(e->control, e->job.name, &job, err);

    if (!ok)
        return false;
    stages_close(e);
    early_forget(e);
    engine_forget_dirty(e); /* it belongs to the direction before */
    e->confirm_held = false;
    request_list_free(&e->requests.open);
    e->caught_up_at_ms = 0;
    job_state_clear(&e->job);
    e->job = job;
    if (!watch_note_swapped(e, err))
        return false;
    attach_direction(e);
    window_check_passed(e, WINDOW_STOOD_STILL);
    return true;
}

static const struct plan_swap *
swap_of_direction(const struct engine *e)
{
    if (e->job.swaps == 0)
        return e->plans->cutover;
    return job_is_reversed(&e->job) ? e->plans->rollback : e->plans->cutover_again;
}

static bool
run_cutover(struct engine *e, const struct cutover_hooks *hooks, struct error *err)
{
    struct cutover_request request = {
        .name = swap_name(e),
        .table_count = e->table_count,
        .swap = swap_of_direction(e),
        .session = e->applying,
        .connection = e->options.connection,
        .oldest_snapshot = e->oldest_snapshot,
        .lock_timeout_ms = e->options.lock_timeout_ms,
        .attempts = e->options.cutover_attempts - e->attempts_lost,
        .hooks = hooks,
    };
    const struct plan **plans = mem_alloc((size_t)e->table_count * sizeof(*plans));
    oid_t *shadows = mem_alloc((size_t)e->table_count * sizeof(*shadows));
    bool ok;

    for (int i = 0; i < e->table_count; i++) {
        plans[i] = e->tables[i].plan;
        shadows[i] = job_other_oid(&e->job, i);
    }
    request.plans = plans;
    request.shadows = shadows;
    ok = cutover_run(&request, &e->cutover, err);
    free(shadows);
    free(plans);
    return ok;
}

/*
 * Attempts that ended with a lost connection count: the server may have ended the session that held the lock
 * because this program was paused.
 */
static bool
count_attempts(struct engine *e, bool done, struct error *err)
{
    int attempts = e->attempts_lost + e->cutover.attempts;

    e->attempts_lost = !done && err->connection_lost ? attempts : 0;
    if (e->attempts_lost > 0)
        hook_given_up(e, attempts, err);
    if (e->attempts_lost < e->options.cutover_attempts) {
        e->cutover.attempts = attempts;
        return done;
    }
    stages_close(e); /* the connection of the applies is lost */
    e->attempts_lost = 0;
    err->connection_lost = false;
    err->kind = ERROR_LOCK;
    return error_context(err, "no %s within %d %s", swap_name(e), attempts,
                         count_word(attempts, "attempt", "attempts"));
}

/* A change that was found under the lock is named after the lock is released. */
static void
name_change(struct engine *e, struct error *err)
{
    struct error named = {0};

    if (err->kind == ERROR_FAILED && !err->connection_lost && !err->stopped && !watch_published(e, &named) &&
        e->job.held_for_good)
        error_move(err, &named);
    error_clear(&named);
}

static void
log_swap(const struct engine *e)
{
    const char *what = job_is_reversed(&e->job) ? "rolled back" : "cut over";
    const struct cutover_report *r = &e->cutover;

    if (r->held_in_vain_ms > 0)
        log_info("%s: lock held %.1f ms, attempts %d; attempts that failed held it for %.1f ms", what,
                 r->lock_held_ms, r->attempts, r->held_in_vain_ms);
    else
        log_info("%s: lock held %.1f ms, attempts %d", what, r->lock_held_ms, r->attempts);
}

bool
swap_tables(struct engine *e, enum job_phase next, struct error *err)
{
    struct cutover_hooks hooks = {
        .arg = e,
        .prepare = hook_prepare,
        .enter = hook_enter,
        .look = hook_look,
        .looked = hook_looked,
        .drain = hook_drain,
        .check = hook_check,
        .record = hook_record,
        .is_recorded = hook_is_recorded,
        .leave = hook_leave,
        .given_up = hook_given_up,
        .waits = hook_waits,
    };
    char *ids;
    bool saved, swapped;

    e->next = next;
    e->swap_held = false;
    /* After a resume or a reconnect it is not known which snapshots are too old. */
    if (e->job.swaps == 0 && e->oldest_snapshot == 0 && !engine_note_complete(e, err))
        return false;
    free(e->own);
    e->own = ledger_own(e->control, &e->job, err);
    if (e->own == NULL || !state_swap_prepare(e->applying, err) || !guard_prepare(e->applying, err) ||
        !watch_prepare(e, err))
        return false;
    swapped = count_attempts(e, run_cutover(e, &hooks, err), err);
    waits_settle(e, NULL);
    if (!swapped) {
        name_change(e, err);
        return false;
    }
    ids = requests_ids(e, request_of(e));
    e->report->swapped = true;
    log_swap(e);
    saved = standby_await(e, err) && save_report(e, ids, err);
    free(ids);
    if (!saved) {
        if (err->connection_lost)
            return false;
        log_warning("the figures of the swap are not saved: %s", err->message);
        error_clear(err);
    }
    return turn(e, err);
}

/* Save the failure so that the figures show it. A failure to save it does not end the job. */
static void
save_differences(struct engine *e)
{
    struct error ignored = {0};

    if (!state_progress_verified(e->control, &e->job, &e->verification, &ignored))
        log_warning("the number of differences is not saved: %s", ignored.message);
    error_clear(&ignored);
}

/*
 * The lock was not granted, or the tables are not equal. The job is in phase ready again, and those who
 * requested the cutover get the reason. With --cutover=hold the job stays in sync until the next request.
 * Without it nobody would request another cutover: the run ends with the exit status, and the slot keeps the
 * changes for a resume.
 */
static enum step
not_cut_over(struct engine *e, struct error *failed, struct error *err)
{
    if (e->swap_held && !failed->connection_lost && !failed->stopped && !requests_any(e, REQUEST_ABORT)) {
        e->next = PHASE_READY; /* the job cuts over as soon as it is no longer held */
        return STEP_NEXT;
    }
    if ((failed->kind != ERROR_LOCK && failed->kind != ERROR_PARITY) || failed->connection_lost ||
        failed->stopped || requests_any(e, REQUEST_ABORT)) {
        error_move(err, failed);
        return STEP_FAILED;
    }
    if (failed->kind == ERROR_PARITY)
        save_differences(e);
    e->next = PHASE_READY;
    if (!e->options.hold) {
        if (!engine_phase(e, PHASE_READY, err))
            return STEP_FAILED;
        if (failed->hint == NULL)
            error_hint(failed, "The replication slot keeps the changes until the job continues.");
        error_move(err, failed);
        return STEP_FAILED;
    }
    if (failed->kind == ERROR_PARITY)
        unequal_hint(e, failed);
    else
        error_hint(failed,
                   "The table%s untouched, and the job stays in sync. Try again with: " COMMAND("cutover"),
                   e->table_count > 1 ? "s are" : " is", e->job.name);
    log_warning("%s%s%s", failed->message, failed->detail != NULL ? ": " : "",
                failed->detail != NULL ? failed->detail : "");
    return requests_answer(e, REQUEST_CUTOVER, failed, NULL, err) ? STEP_NEXT : STEP_FAILED;
}

enum step
phase_cutover(struct engine *e, struct error *err)
{
    struct error failed = {0};
    enum step step;

    if (!stages_open_stream(e, err) || !stages_open_apply(e, err))
        return STEP_FAILED;
    if (unequal_refuse_swap(e, &failed) &&
        swap_tables(e, e->options.window_s == 0 ? PHASE_FINISHED : PHASE_REVERSE, &failed))
        return STEP_NEXT;
    step = not_cut_over(e, &failed, err);
    error_clear(&failed);
    return step;
}
