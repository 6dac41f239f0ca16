/* After a swap: the table that does not serve is kept in sync, until it comes back or the job is finished. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "engine.h"
#include "sql/sql.h"
#include "validate.h"

#define RETRY_MS 1000 /* between two tries of rows set aside */

/* The spool of the leg before is of no use to anyone. */
static bool
remove_last_spool(struct engine *e, struct error *err)
{
    char *directory = stages_spool_directory(e, e->job.leg - 1);
    bool ok = ledger_undo_one(e->control, &e->job, LEDGER_SPOOL, directory, err);

    free(directory);
    return ok;
}

bool
follow_refuse_blocked(struct engine *e, struct error *err)
{
    struct result res = {0};
    char id[24];

    snprintf(id, sizeof(id), "%" PRId64, e->job.id);
    error_set(err, ERROR_ROLLBACK,
              "rollback is not possible: %" PRId64
              " row%s of the new table%s cannot be held by the original%s",
              engine_blocked(e), engine_blocked(e) == 1 ? "" : "s", engine_plural(e), engine_plural(e));
    if (session_query(e->control, &res, &(struct error){0}, sql_status_blocked, 1, id)) {
        struct buffer text = {0};

        for (int i = 0; i < result_rows(&res); i++)
            buffer_printf(&text, "%skey %s: %s", i > 0 ? "\n" : "", result_text(&res, i, 0),
                          result_text(&res, i, 1));
        if (text.len > 0)
            error_detail(err, "%s", text.data);
        buffer_free(&text);
    }
    result_free(&res);
    error_hint(err,
               "The new table%s. Change or delete those rows and roll back again, or say what the original "
               "is to hold instead: pgrecast rollback %s --reverse-map '%sCOLUMN=EXPRESSION'",
               e->table_count > 1 ? "s serve" : " serves", e->job.name, e->table_count > 1 ? "TABLE." : "");
    return false;
}

static void
show_blocked(struct engine *e)
{
    int64_t blocked = engine_blocked(e);
    struct error text = {0};

    if (blocked == e->blocked_shown)
        return;
    if (blocked == 0) {
        log_info("all rows fit the original again: rollback is possible");
    } else if (blocked > e->blocked_shown) {
        follow_refuse_blocked(e, &text);
        log_warning("%s%s%s", text.message, text.detail != NULL ? ": " : "",
                    text.detail != NULL ? text.detail : "");
        error_clear(&text);
    }
    e->blocked_shown = blocked;
}

static bool
retry_blocked(struct engine *e, bool now, struct error *err)
{
    bool ok;

    if (engine_blocked(e) == 0 || (!now && clock_ms() - e->retried_at_ms < RETRY_MS))
        return true;
    /* A marker first: a key that was missing at the last try, and still is, is then known to be gone. */
    ok = engine_sync(e, err) && engine_to_boundary(e, err);
    for (int i = 0; ok && i < e->table_count; i++)
        ok = apply_retry(e->tables[i].apply, err);
    e->retried_at_ms = clock_ms();
    return ok;
}

/* Apply what there is, and keep the proof of parity whole. */
static bool
follow_some(struct engine *e, struct error *err)
{
    bool verify = e->options.verify;

    if (!engine_apply(e, err) || !retry_blocked(e, false, err))
        return false;
    show_blocked(e);
    if (engine_blocked(e) > 0)
        return swap_answer_verify(e, err);
    if (verify && (!e->proven || engine_dirty_truncated(e)) && !parity_verify(e, err))
        return false;
    return swap_answer_verify(e, err) && (!verify || parity_reduce_dirty(e, err));
}

/* Nobody is told by this process's end: the answer is in the job's row. */
static bool
refuse(struct engine *e, struct error *reason, struct error *err)
{
    bool ok = job_state_answer(e->control, &e->job, reason, err);

    if (ok && !e->rollback_only)
        log_warning("%s%s%s", reason->message, reason->detail != NULL ? ": " : "",
                    reason->detail != NULL ? reason->detail : "");
    e->rollback_requested = e->cutover_requested = e->remap_requested = false;
    return ok;
}

/* A swap that fails leaves the job where it was, unless the server or the user has ended it. */
static enum step
not_swapped(struct engine *e, enum job_phase next, struct error *failed, struct error *err)
{
    bool ok;

    if (next == PHASE_ROLLED_BACK && failed->kind == ERROR_FAILED && !failed->connection_lost &&
        !failed->stopped)
        failed->kind = ERROR_ROLLBACK;
    if (e->rollback_only || failed->connection_lost || failed->stopped || e->abort_requested) {
        struct error ignored = {0};

        if (!failed->connection_lost)
            job_state_answer(e->control, &e->job, failed, &ignored);
        error_clear(&ignored);
        error_move(err, failed);
        return STEP_FAILED;
    }
    if (failed->kind == ERROR_ROLLBACK && failed->hint == NULL)
        error_hint(failed,
                   "The new table serves and is followed. Undo what stands in the way and roll back again; "
                   "or end the "
                   "job with: pgrecast finish %s",
                   e->job.name);
    ok = refuse(e, failed, err);
    error_clear(failed);
    e->next = e->job.phase;
    return ok ? STEP_NEXT : STEP_FAILED; /* the same phase again */
}

static enum step
try_swap(struct engine *e, enum job_phase next, struct error *err)
{
    struct error failed = {0};

    validate_stop(e); /* its locks would be in the way */
    /* First what has been committed: it may bring a row that does not fit. Then twice: a key that is only
     * missing in the source is taken back the second time. */
    if (engine_sync(e, &failed) && retry_blocked(e, true, &failed) && retry_blocked(e, true, &failed) &&
        (engine_blocked(e) == 0 || follow_refuse_blocked(e, &failed)) && swap_tables(e, next, &failed))
        return STEP_NEXT;
    return not_swapped(e, next, &failed, err);
}

/* The maps that came with the request hold from now on, whatever becomes of the rollback. */
static enum step
remap_and_swap(struct engine *e, struct error *err)
{
    struct error failed = {0};
    struct plan_set *made = remap_plan(e, &failed);

    if (made == NULL)
        return not_swapped(e, PHASE_ROLLED_BACK, &failed, err);
    return remap_enforce(e, made, err) ? try_swap(e, PHASE_ROLLED_BACK, err) : STEP_FAILED;
}

static bool
is_over(struct engine *e)
{
    if (e->finish_requested != FINISH_NOT)
        return true;
    /* Whoever asks for a rollback gets it as long as nobody has ended the job. */
    if (clock_ms() < e->window_ends_ms || e->rollback_only)
        return false;
    log_info("the rollback window is over");
    return true;
}

/* "x and y": the tables that do not serve. */
static char *
followers(const struct engine *e)
{
    struct buffer text = {0};

    for (int i = 0; i < e->table_count; i++)
        buffer_printf(&text, "%s%s",
                      i == 0                    ? ""
                      : i == e->table_count - 1 ? " and "
                                                : ", ",
                      e->tables[i].plan->shadow_sql);
    return buffer_take(&text);
}

static void
log_begin(const struct engine *e)
{
    const char *serve = e->table_count > 1 ? "s serve" : " serves";
    const char *are = e->table_count > 1 ? "s are" : " is";
    char *names = followers(e);

    if (job_is_turned(&e->job))
        log_info("the new table%s; the original%s kept in sync as %s. Go back with: pgrecast rollback "
                 "%s; end with: pgrecast finish %s",
                 serve, are, names, e->job.name, e->job.name);
    else
        log_info("the original%s; the new table%s kept in sync as %s. Cut over again with: pgrecast "
                 "cutover %s; end with: pgrecast finish %s",
                 serve, are, names, e->job.name, e->job.name);
    free(names);
}

/* After a rollback that cannot be taken back: there is nothing to follow. */
static enum step
end_following(struct engine *e, struct error *err)
{
    const char *why = plan_set_why_not_again(e->plans);

    log_info("the new table%s no longer kept in sync: %s. End the job with: pgrecast finish %s",
             e->table_count > 1 ? "s are" : " is", why != NULL ? why : "it was not planned", e->job.name);
    return ledger_undo_one(e->control, &e->job, LEDGER_SLOT, e->job.slot_name, err) &&
                   remove_last_spool(e, err) && validate_all(e, err)
               ? STEP_LEAVE
               : STEP_FAILED;
}

static bool
open_leg(struct engine *e, struct error *err)
{
    engine_kill_point(job_is_turned(&e->job) ? "reverse-start" : "rolled-back");
    return remove_last_spool(e, err) && stages_open_stream(e, err) && stages_open_apply(e, err);
}

enum step
phase_follow(struct engine *e, struct error *err)
{
    bool turned = job_is_turned(&e->job);

    if (!engine_follows(e))
        return is_over(e) ? (e->next = PHASE_FINISHED, STEP_NEXT) : end_following(e, err);
    if (e->stream == NULL &&
        (turned ? e->options.exit == EXIT_CUT_OVER && !e->rollback_only : e->rollback_only))
        return validate_all(e, err) ? STEP_LEAVE : STEP_FAILED;
    if (!open_leg(e, err))
        return STEP_FAILED;
    if (!e->rollback_only)
        log_begin(e);
    while (!is_over(e)) {
        uint64_t before = engine_changes(e);

        if (turned && e->rollback_requested && e->remap_requested)
            return remap_and_swap(e, err);
        if (!follow_some(e, err) || !validate_some(e, err))
            return STEP_FAILED;
        if (turned && engine_changes(e) > before)
            engine_kill_point("reverse");
        if (turned && e->rollback_requested && !e->remap_requested)
            return try_swap(e, PHASE_ROLLED_BACK, err);
        if (!turned && e->cutover_requested)
            return try_swap(e, PHASE_REVERSE, err);
    }
    e->next = PHASE_FINISHED;
    return STEP_NEXT;
}
