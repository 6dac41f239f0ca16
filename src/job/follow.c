/* After a swap: the inactive table is kept in sync, until it becomes active again or the job is finished. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdlib.h>

#include "carry_index.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/command.h"
#include "core/count.h"
#include "core/log.h"
#include "core/mem.h"
#include "engine.h"
#include "follow.h"
#include "parity.h"
#include "phases.h"
#include "remap.h"
#include "requests.h"
#include "stages.h"
#include "state/blocked.h"
#include "state/ledger.h"
#include "swap.h"
#include "tables.h"
#include "unequal.h"
#include "validate.h"
#include "window.h"

#define RETRY_MS 1000 /* pause between two tries of the rows set aside */

/* Remove the spool of the direction before: nobody needs it any more. */
static bool
remove_last_spool(struct engine *e, struct error *err)
{
    char *directory = stages_spool_directory(e, e->job.swaps - 1);
    bool ok = ledger_undo_one(e->control, &e->job, LEDGER_SPOOL, directory, err);

    free(directory);
    return ok;
}

#define BLOCKED_ADVICE                                                                                       \
    "Change or delete those rows and roll back again, or say what the original is to hold instead: "

bool
follow_refuse_blocked(struct engine *e, struct error *err)
{
    struct state_blocked_rows some = {0};
    struct error ignored = {0};

    error_set(err, ERROR_ROLLBACK,
              "rollback is not possible: %" PRId64 " %s of the new table%s cannot be held by the original%s",
              engine_blocked(e), count_word(engine_blocked(e), "row", "rows"), engine_plural(e),
              engine_plural(e));
    if (state_blocked_some(e->control, e->job.id, &some, &ignored)) {
        struct buffer text = {0};

        for (int i = 0; i < some.count; i++)
            buffer_printf(&text, "%skey %s: %s", i > 0 ? "\n" : "", some.rows[i].key, some.rows[i].error);
        if (text.len > 0)
            error_detail(err, "%s", text.data);
        buffer_free(&text);
    }
    state_blocked_free(&some);
    error_clear(&ignored);
    error_hint(err,
               e->table_count > 1 ? "The new tables are active. " BLOCKED_ADVICE COMMAND(
                                        "rollback --reverse-map 'TABLE.COLUMN=EXPRESSION'")
                                  : "The new table is active. " BLOCKED_ADVICE COMMAND(
                                        "rollback --reverse-map 'COLUMN=EXPRESSION'"),
               e->job.name);
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
follow_retry_blocked(struct engine *e, bool now, struct error *err)
{
    bool ok;

    if (engine_blocked(e) == 0 || (!now && clock_ms() - e->retried_at_ms < RETRY_MS))
        return true;
    /*
     * A marker comes first: a key that was missing at the last try and still is missing is then known to be
     * deleted.
     */
    ok = engine_sync(e, err) && engine_to_boundary(e, err);
    for (int i = 0; ok && i < e->table_count; i++)
        ok = apply_retry(e->tables[i].apply, err);
    e->retried_at_ms = clock_ms();
    return ok;
}

/* Apply the changes that have arrived, and keep the proof of parity complete. */
static bool
follow_some(struct engine *e, struct error *err)
{
    bool verify = e->options.verify;

    if (!engine_apply(e, err) || !follow_retry_blocked(e, false, err))
        return false;
    show_blocked(e);
    if (engine_blocked(e) > 0)
        return swap_answer_verify(e, err);
    if (verify && (!e->proven || engine_dirty_truncated(e)) && !unequal_verify(e, err))
        return false;
    return swap_answer_verify(e, err) &&
           (!verify || !e->proven || engine_dirty_truncated(e) || parity_reduce_dirty(e, err));
}

/* A swap that fails leaves the job in its phase, unless the server or the user has ended the swap. */
static enum step
not_swapped(struct engine *e, enum job_phase next, struct error *failed, struct error *err)
{
    bool ok;

    if (next == PHASE_ROLLED_BACK && failed->kind == ERROR_FAILED && !failed->connection_lost &&
        !failed->stopped)
        failed->kind = ERROR_ROLLBACK;
    if (failed->connection_lost || failed->stopped || requests_any(e, REQUEST_ABORT)) {
        error_move(err, failed);
        return STEP_FAILED;
    }
    if (failed->kind == ERROR_ROLLBACK && failed->hint == NULL)
        error_hint(
            failed,
            "The new table is active and is followed. Undo what stands in the way and roll back again; "
            "or end the "
            "job with: " COMMAND("finish"),
            e->job.name);
    if (failed->kind == ERROR_LOCK && !e->rollback_only)
        error_hint(
            failed,
            next == PHASE_ROLLED_BACK
                ? "The new table%s, and the job stays in sync. Try again with: " COMMAND("rollback")
                : "The original%s, and the job stays in sync. Try again with: " COMMAND("cutover --wait"),
            e->table_count > 1 ? "s are active" : " is active", e->job.name);
    if (failed->kind == ERROR_PARITY &&
        !e->rollback_only) /* otherwise no instance remains that could verify */
        unequal_hint(e, failed);
    ok =
        requests_answer(e, next == PHASE_ROLLED_BACK ? REQUEST_ROLLBACK : REQUEST_CUTOVER, failed, NULL, err);
    if (ok && e->rollback_only) {
        error_move(err, failed);
        return STEP_FAILED;
    }
    if (ok)
        log_warning("%s%s%s", failed->message, failed->detail != NULL ? ": " : "",
                    failed->detail != NULL ? failed->detail : "");
    error_clear(failed);
    e->next = e->job.phase;
    return ok ? STEP_NEXT : STEP_FAILED; /* the same phase again */
}

static enum step
try_swap(struct engine *e, enum job_phase next, struct error *err)
{
    struct error failed = {0};

    validate_stop(e); /* its locks would stand in the way of the swap */
    /*
     * First apply all that is committed: it may bring a row that does not fit. Then try twice: a key that is
     * missing only in the source is removed at the second try.
     */
    if (engine_sync(e, &failed) && follow_retry_blocked(e, true, &failed) &&
        follow_retry_blocked(e, true, &failed) &&
        (engine_blocked(e) == 0 || follow_refuse_blocked(e, &failed)) && unequal_refuse_swap(e, &failed) &&
        swap_tables(e, next, &failed))
        return STEP_NEXT;
    return not_swapped(e, next, &failed, err);
}

/* The maps that came with the request are in force from now on, also if the rollback fails. */
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
follow_is_over(struct engine *e)
{
    if (requests_any(e, REQUEST_FINISH))
        return true;
    /*
     * A rollback that was requested is carried out, also at the end of the window, unless somebody has ended
     * the job.
     */
    if (e->rollback_only || !window_is_over(e))
        return false;
    log_info("the rollback window is over");
    return true;
}

/* "x and y": the names of the inactive tables. */
static char *
followers(const struct engine *e)
{
    struct buffer text = {0};

    for (int i = 0; i < e->table_count; i++)
        buffer_printf(&text, "%s%s",
                      i == 0                    ? ""
                      : i == e->table_count - 1 ? " and "
                                                : ", ",
                      e->tables[i].plan->names.shadow_sql);
    return buffer_take(&text);
}

static void
log_begin(const struct engine *e)
{
    const char *serve = e->table_count > 1 ? "s are active" : " is active";
    const char *are = e->table_count > 1 ? "s are" : " is";
    const char *ends = e->job.window_ends;
    char *names = followers(e);

    if (job_is_reversed(&e->job))
        log_info("the new table%s; the original%s kept in sync as %s. Rollback is possible until %s. Go back "
                 "with: " COMMAND("rollback") "; end with: " COMMAND("finish"),
                 serve, are, names, ends != NULL ? ends : "`finish`", e->job.name, e->job.name);
    else
        log_info(
            "the original%s; the new table%s kept in sync as %s. A new cutover is possible until %s. Cut "
            "over again with: " COMMAND("cutover") "; end with: " COMMAND("finish"),
            serve, are, names, ends != NULL ? ends : "`finish`", e->job.name, e->job.name);
    free(names);
}

/* After a rollback where the new table cannot become active again: there are no changes to follow. */
static enum step
end_following(struct engine *e, struct error *err)
{
    const char *why = plan_set_why_not_again(e->plans);

    log_info("the new table%s no longer kept in sync: %s. End the job with: " COMMAND("finish"),
             e->table_count > 1 ? "s are" : " is", why != NULL ? why : "it was not planned", e->job.name);
    return remove_last_spool(e, err) &&
                   ledger_undo_one(e->control, &e->job, LEDGER_SLOT, e->job.slot_name, err) &&
                   validate_all(e, err)
               ? STEP_LEAVE
               : STEP_FAILED;
}

static bool
open_direction(struct engine *e, struct error *err)
{
    engine_kill_point(job_is_reversed(&e->job) ? "reverse-start" : "rolled-back");
    return remove_last_spool(e, err) && stages_open_stream(e, err) && stages_open_apply(e, err);
}

enum step
phase_follow(struct engine *e, struct error *err)
{
    bool reversed = job_is_reversed(&e->job);

    if (!engine_follows(e))
        return follow_is_over(e) ? (e->next = PHASE_FINISHED, STEP_NEXT) : end_following(e, err);
    if (e->stream == NULL &&
        (reversed ? e->options.exit != EXIT_AT_END && !e->rollback_only : e->rollback_only))
        return validate_all(e, err) ? STEP_LEAVE : STEP_FAILED;
    if (!open_direction(e, err))
        return STEP_FAILED;
    if (!e->rollback_only)
        log_begin(e);
    while (!follow_is_over(e)) {
        uint64_t before = engine_changes(e);

        if (reversed && requests_remap(e))
            return remap_and_swap(e, err);
        if (!follow_some(e, err) || !validate_some(e, err) || !carry_index_build(e, err))
            return STEP_FAILED;
        if (reversed && engine_changes(e) > before)
            engine_kill_point("reverse");
        if (reversed && requests_any(e, REQUEST_ROLLBACK) && !requests_remap(e))
            return try_swap(e, PHASE_ROLLED_BACK, err);
        if (!reversed && requests_any(e, REQUEST_CUTOVER))
            return try_swap(e, PHASE_REVERSE, err);
    }
    e->next = PHASE_FINISHED;
    return STEP_NEXT;
}
