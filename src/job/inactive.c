#include "inactive.h"

#include "core/buffer.h"
#include "core/command.h"
#include "core/log.h"
#include "state/guard.h"
#include "tables.h"

#define INACTIVE_MS 2000

/* They are sealed when they are made, in the last transaction of this phase. */
static bool
is_sealed_by_now(const struct engine *e)
{
    return e->job.phase != PHASE_INIT && engine_follows(e) && e->job.phase != PHASE_FINISHED;
}

/*
 * Set the guards of all tables anew. The guard's function must be the program's own too, which state_check()
 * checks.
 */
static bool
renew_guards(struct engine *e, struct error *err)
{
    enum state_presence presence;
    bool ok = state_check(e->control, &e->access, &presence, err) &&
              session_execute(e->control, err, "BEGIN") &&
              session_execute(e->control, err, "SET LOCAL lock_timeout = '2s'");

    for (int i = 0; ok && i < e->table_count; i++)
        ok = guard_renew(e->control, &e->job, i, e->tables[i].plan->names.shadow_sql, err);
    ok = ok && session_commit(e->control, err);
    if (!ok)
        session_rollback(e->control);
    return ok;
}

/* Note that others could write a table. */
static bool
note_opened(struct engine *e, int table, struct error *err)
{
    e->distrusted = true;
    e->proven = false;
    if (!guard_distrust(e->control, &e->job, err))
        return false;
    log_warning("%s was opened to others than the job: its guard or its definition was changed. "
                "All rows are compared before the next swap",
                e->tables[table].plan->names.shadow_sql);
    return true;
}

/* Set the guards anew at once; they are set once more before the comparison. */
static bool
distrust(struct engine *e, int table, struct error *err)
{
    struct error failed = {0};

    if (!note_opened(e, table, err))
        return false;
    if (renew_guards(e, &failed))
        return true;
    if (failed.connection_lost || failed.stopped) {
        error_move(err, &failed);
        return false;
    }
    log_warning("the guard is not set anew: %s", failed.message);
    error_clear(&failed);
    return true;
}

bool
inactive_check(struct engine *e, struct error *err)
{
    int opened;

    if (!is_sealed_by_now(e) || e->distrusted)
        return true;
    return guard_read_seals(e->control, &e->job, &opened, err) && (opened < 0 || distrust(e, opened, err));
}

bool
inactive_tick(struct engine *e, struct error *err)
{
    if (clock_ms() - e->inactive_at_ms < INACTIVE_MS)
        return true;
    e->inactive_at_ms = clock_ms();
    return inactive_check(e, err);
}

void
inactive_add(const struct engine *e, struct pipeline *p)
{
    guard_add_seals(p, &e->job);
}

bool
inactive_looked(const struct engine *e, const struct result *res, struct error *err)
{
    int opened = guard_opened(&e->job, res);

    if (opened < 0)
        return true;
    return error_set(err, ERROR_LOCK,
                     "%s was opened to others than the job: its rows are to be compared again",
                     e->tables[opened].plan->names.shadow_sql);
}

bool
inactive_lock(struct engine *e, struct error *err)
{
    int opened = -1;
    bool ok = true;

    for (int i = 0; ok && i < e->table_count; i++)
        ok = session_executef(e->control, err, "LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE",
                              e->tables[i].plan->names.shadow_sql);
    ok = ok && (e->distrusted || guard_read_seals(e->control, &e->job, &opened, err));
    return ok && (opened < 0 || note_opened(e, opened, err));
}

bool
inactive_seal(struct engine *e, struct error *err)
{
    return e->distrusted || guard_seal(e->control, &e->job, err);
}

bool
inactive_is_unjudged(const struct engine *e)
{
    for (int i = 0; e->distrusted && i < e->table_count; i++)
        if (e->tables[i].plan->rows.compare.left_out.count > 0)
            return true;
    return false;
}

bool
inactive_refuse_unjudged(const struct engine *e, struct error *err)
{
    for (int i = 0; e->distrusted && i < e->table_count; i++) {
        const struct plan *plan = e->tables[i].plan;
        const struct string_list *columns = &plan->rows.compare.left_out;
        struct buffer names = {0};

        if (columns->count == 0)
            continue;
        for (int k = 0; k < columns->count; k++)
            buffer_printf(&names, "%s%s", k > 0 ? ", " : "", columns->items[k]);
        error_set(err, ERROR_PARITY,
                  "%s was opened to others than the job, and column%s %s cannot be compared",
                  plan->names.shadow_sql, columns->count > 1 ? "s" : "", names.data);
        error_detail(err,
                     "The active table has no values for %s, so that nothing shows whether somebody has "
                     "changed them.",
                     columns->count > 1 ? "them" : "it");
        if (job_is_reversed(&e->job))
            error_hint(err, "A rollback is no longer possible. End the job with: " COMMAND("finish"),
                       e->job.name);
        else if (e->job.swaps > 0)
            error_hint(err, "A cutover is no longer possible. End the job with: " COMMAND("finish"),
                       e->job.name);
        else
            error_hint(err, "Remove the job with: " COMMAND("abort") "; then start it again.", e->job.name);
        buffer_free(&names);
        return false;
    }
    return true;
}

bool
inactive_begin_proof(struct engine *e, struct error *err)
{
    return !e->distrusted || (renew_guards(e, err) && guard_note_seals(e->control, &e->job, &e->seals, err));
}

bool
inactive_end_proof(struct engine *e, struct error *err)
{
    bool same;

    if (!e->distrusted || inactive_is_unjudged(e))
        return true;
    if (!guard_save_seals(e->control, &e->job, &e->seals, &same, err))
        return false;
    e->distrusted = !same;
    if (same)
        log_info("all rows were compared: the inactive table%s trusted again",
                 e->table_count > 1 ? "s are" : " is");
    return true;
}
