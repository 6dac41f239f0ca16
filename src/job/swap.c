/* The swap, in any direction: waiting for the first one, and what each needs of the job. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "engine.h"

#define DRAIN_MOST_MS 1000 /* under the lock; longer than that the lock is given back */
#define LOCK_MOST_MS 1000  /* for which the spool is not synced: a drain would wait for that */
#define NEAR_MS 200        /* a marker comes through in this time: near enough to ask for the lock */
#define NEAR_ROUNDS 50

/* Rows are set aside: the tables are not equal, and it is known where. */
static bool
refuse_comparison(struct engine *e, struct error *err)
{
    follow_refuse_blocked(e, err);
    err->kind = ERROR_PARITY;
    return error_context(err, "the tables are not equal");
}

/* Whoever asked is told also that parity failed; that ends the run. */
bool
swap_answer_verify(struct engine *e, struct error *err)
{
    struct error ignored = {0};
    char id[24], answered[16];
    bool ok;

    if (e->verify_requested <= e->verify_answered)
        return true;
    snprintf(id, sizeof(id), "%" PRId64, e->job.id);
    snprintf(answered, sizeof(answered), "%d", e->verify_requested);
    e->verify_answered = e->verify_requested;
    ok = engine_blocked(e) == 0 ? parity_verify(e, err) : refuse_comparison(e, err);
    if (!ok && (err->kind != ERROR_PARITY || !job_state_answer(e->control, &e->job, err, &ignored))) {
        error_clear(&ignored);
        return false;
    }
    if (!session_query(e->control, NULL, ok ? err : &ignored,
                       "UPDATE pgrecast.job SET verify_answered = $2 WHERE id = $1", 2, id, answered))
        return false;
    if (!ok && engine_blocked(e) > 0) { /* known, and no end of the run */
        error_clear(err);
        return true;
    }
    return ok;
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
    if (e->options.hold && !e->cutover_requested)
        log_info("in sync; cut over with: pgrecast cutover %s", e->job.name);
    while (e->options.hold && !e->cutover_requested) {
        if (!engine_apply(e, err) || !swap_answer_verify(e, err) ||
            (verify && engine_dirty_truncated(e) && !parity_verify(e, err)) ||
            (verify && !parity_reduce_dirty(e, err)))
            return STEP_FAILED;
    }
    return STEP_NEXT;
}

/* Before an attempt: everything outside the lock that can be. */
static bool
hook_prepare(void *arg, struct error *err)
{
    struct engine *e = arg;

    if (e->options.verify && (!e->proven || engine_dirty_truncated(e)) && !parity_verify(e, err))
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
    stream_defer_sync(e->stream, clock_ms() + e->options.lock_timeout_ms + LOCK_MOST_MS);
    if (!engine_to_boundary(e, err))
        return false;
    for (int i = 0; i < e->table_count; i++)
        if (!apply_clear(e->tables[i].apply, err))
            return false;
    return true;
}

/*
 * The slot is the one thing that both directions share: what follows the swap must still be in it when it is
 * read in the other one. So nothing more is confirmed from here on.
 */
static bool
hook_enter(void *arg, struct error *err)
{
    struct engine *e = arg;

    engine_kill_point(job_is_turned(&e->job) ? "rollback-locked" : "cutover-locked");
    e->confirm_held = true;
    stream_limit(e->stream, stream_confirmed(e->stream));
    for (int i = 0; i < e->table_count; i++)
        apply_enter(e->tables[i].apply);
    return engine_send_marker(e, err);
}

/* The lock is held, so every writer's commit is in the log, and the marker comes after it. */
static bool
hook_drain(void *arg, struct error *err)
{
    struct engine *e = arg;
    int64_t until = clock_ms() + DRAIN_MOST_MS;

    if (!engine_await_marker(e, err))
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

/* Where the way back ends, in seconds from now; negative: it stays. */
static double
window_seconds(const struct engine *e)
{
    return e->options.window_s > 0 ? (double)e->options.window_s : -1;
}

/*
 * In the swap's own transaction: the table that will be removed is now the other one. What serves from now on
 * is noted as it is here, so that whatever is made of it afterwards is seen before it would be lost.
 */
static void
record_table(struct engine *e, int table, struct pipeline *p)
{
    const struct plan *plan = e->tables[table].plan;
    char *undo = statements_join(&plan->drop_old);

    job_state_add_other(p, &e->job, plan->shadow_sql, plan->old_sql, undo);
    job_state_add_serving(p, &e->job, table, job_other_oid(&e->job, table));
    free(undo);
}

static bool
hook_record(void *arg, struct pipeline *p, struct error *err)
{
    struct engine *e = arg;
    int place = p->count, turned = place + e->table_count;
    bool ok;

    for (int i = 0; i < e->table_count; i++)
        apply_add_place(e->tables[i].apply, p);
    job_state_add_swap(p, &e->job, e->next == PHASE_FINISHED ? PHASE_CUTOVER : e->next, window_seconds(e));
    for (int i = 0; i < e->table_count; i++)
        record_table(e, i, p);
    ok = pipeline_run(e->applying, p, err) && job_state_swap_saved(pipeline_result(p, turned), err);
    for (int i = 0; ok && i < e->table_count; i++)
        ok = apply_place_saved(pipeline_result(p, place + i), err);
    if (ok)
        engine_kill_point(job_is_turned(&e->job) ? "rollback-swapped" : "cutover-swapped");
    return ok;
}

static bool
hook_leave(void *arg, bool committed, struct error *err)
{
    struct engine *e = arg;
    bool ok = engine_await_marker(e, err); /* where it was not waited for */

    if (committed)
        engine_kill_point(job_is_turned(&e->job) ? "rollback-committed" : "cutover-committed");
    else
        e->confirm_held = false;
    for (int i = 0; i < e->table_count; i++)
        ok = apply_leave(e->tables[i].apply, committed, err) && ok;
    return ok;
}

static bool
save_report(struct engine *e, struct error *err)
{
    char id[24], attempts[16], wait[32], held[32];

    e->report->cutover_attempts = e->cutover.attempts;
    e->report->lock_wait_ms = e->cutover.lock_wait_ms;
    e->report->lock_held_ms = e->cutover.lock_held_ms;
    snprintf(id, sizeof(id), "%" PRId64, e->job.id);
    snprintf(attempts, sizeof(attempts), "%d", e->cutover.attempts);
    snprintf(wait, sizeof(wait), "%.3f", e->cutover.lock_wait_ms);
    snprintf(held, sizeof(held), "%.3f", e->cutover.lock_held_ms);
    return session_query(
        e->control, NULL, err,
        "UPDATE pgrecast.progress SET lock_attempts = $2, lock_wait_ms = $3, lock_held_ms = $4 "
        "WHERE job_id = $1",
        4, id, attempts, wait, held);
}

/* The state as the swap's transaction has left it. */
static bool
turn(struct engine *e, struct error *err)
{
    struct job_state job;
    bool ok = job_state_read(e->control, e->job.name, &job, err);

    if (!ok)
        return false;
    stages_close(e);
    engine_forget_dirty(e); /* of the other direction */
    e->confirm_held = false;
    e->cutover_requested = e->rollback_requested = e->remap_requested = false;
    e->caught_up_at_ms = 0;
    job_state_clear(&e->job);
    e->job = job;
    attach_leg(e);
    return true;
}

static const struct plan_swap *
swap_of_leg(const struct engine *e)
{
    if (e->job.leg == 0)
        return e->plans->cutover;
    return job_is_turned(&e->job) ? e->plans->rollback : e->plans->cutover_again;
}

static bool
run_cutover(struct engine *e, const struct cutover_hooks *hooks, struct error *err)
{
    struct cutover_request request = {
        .table_count = e->table_count,
        .swap = swap_of_leg(e),
        .session = e->applying,
        .connection = e->options.connection,
        .oldest_snapshot = e->oldest_snapshot,
        .other_indexes = job_is_turned(&e->job), /* they do not come back, and are no loss but of time */
        .lock_timeout_ms = e->options.lock_timeout_ms,
        .attempts = e->options.cutover_attempts,
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

bool
swap_tables(struct engine *e, enum job_phase next, struct error *err)
{
    struct cutover_hooks hooks = {
        .arg = e,
        .prepare = hook_prepare,
        .enter = hook_enter,
        .drain = hook_drain,
        .check = hook_check,
        .record = hook_record,
        .leave = hook_leave,
    };

    e->next = next;
    /* An instance, or a connection, that came after the copy does not know which snapshots are too old. */
    if (e->job.leg == 0 && e->oldest_snapshot == 0 && !engine_note_complete(e, err))
        return false;
    if (!job_state_prepare_swap(e->applying, err))
        return false;
    if (!run_cutover(e, &hooks, err))
        return false;
    e->report->swapped = true;
    log_info("%s: lock held %.1f ms, attempts %d", job_is_turned(&e->job) ? "rolled back" : "cut over",
             e->cutover.lock_held_ms, e->cutover.attempts);
    if (!save_report(e, err)) {
        if (err->connection_lost)
            return false;
        log_warning("the figures of the swap are not saved: %s", err->message);
        error_clear(err);
    }
    return turn(e, err);
}

enum step
phase_cutover(struct engine *e, struct error *err)
{
    if (!stages_open_stream(e, err) || !stages_open_apply(e, err) ||
        !swap_tables(e, e->options.window_s == 0 ? PHASE_FINISHED : PHASE_REVERSE, err))
        return STEP_FAILED;
    return STEP_NEXT;
}
