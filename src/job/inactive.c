#include "inactive.h"

#include "core/buffer.h"
#include "core/command.h"
#include "core/log.h"
#include "pg/params.h"
#include "sql/sql.h"
#include "tables.h"

#define INACTIVE_MS 2000

/* They are sealed when they are made, in the last transaction of this phase. */
static bool
is_sealed_by_now(const struct engine *e)
{
    return e->job.phase != PHASE_INIT && engine_follows(e) && e->job.phase != PHASE_FINISHED;
}

struct guarded
inactive_guarded(const struct plan *plan)
{
    return (struct guarded){.sql = plan->names.shadow_sql,
                            .partitioned = plan->target->partition_key != NULL};
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

    for (int i = 0; ok && i < e->table_count; i++) {
        const struct guarded guarded = inactive_guarded(e->tables[i].plan);

        ok = guard_renew(e->control, &e->job, i, &guarded, err);
    }
    ok = ok && session_commit(e->control, err);
    if (!ok)
        session_rollback(e->control);
    return ok;
}

/*
 * Note that partitions of the active table were added, removed or truncated, or got new storage. Nobody has written
 * the inactive table, so its seal stays: after a resume the partitions are found to differ again.
 */
static void
note_partitions(struct engine *e, int table)
{
    if (e->distrusted)
        return;
    e->distrusted = e->repartitioned = true;
    e->proven = false;
    log_warning(
        "partitions of %s were added or removed, truncated or rewritten: changes of that kind do not come "
        "through the stream. All rows are compared before the next swap",
        e->tables[table].plan->names.source_sql);
}

/* Note that others could write a table. */
static bool
note_opened(struct engine *e, int table, struct error *err)
{
    e->distrusted = true;
    e->repartitioned = false;
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
distrust(struct engine *e, struct guard_breach breach, struct error *err)
{
    struct error failed = {0};

    if (breach.table < 0)
        return true;
    if (breach.partitions) {
        note_partitions(e, breach.table);
        return true;
    }
    if (!note_opened(e, breach.table, err))
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
    struct guard_breach breach;

    if (!is_sealed_by_now(e) || (e->distrusted && !e->repartitioned))
        return true;
    return guard_read_seals(e->control, &e->job, &breach, err) && distrust(e, breach, err);
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
    struct guard_breach breach = guard_judge(&e->job, res);

    if (breach.table < 0)
        return true;
    if (breach.partitions)
        return error_set(err, ERROR_LOCK, "partitions of %s were changed: its rows are to be compared again",
                         e->tables[breach.table].plan->names.source_sql);
    return error_set(err, ERROR_LOCK,
                     "%s was opened to others than the job: its rows are to be compared again",
                     e->tables[breach.table].plan->names.shadow_sql);
}

bool
inactive_lock(struct engine *e, struct error *err)
{
    struct guard_breach breach = {.table = -1};
    bool ok = true;

    for (int i = 0; ok && i < e->table_count; i++)
        ok = session_executef(e->control, err, "LOCK TABLE %s%s IN SHARE ROW EXCLUSIVE MODE",
                              table_only(e->tables[i].plan->target), e->tables[i].plan->names.shadow_sql);
    ok = ok && (e->distrusted || guard_read_seals(e->control, &e->job, &breach, err));
    return ok && (breach.table < 0 || note_opened(e, breach.table, err));
}

bool
inactive_seal(struct engine *e, struct error *err)
{
    return e->distrusted || guard_seal(e->control, &e->job, err);
}

/* A foreign or unlogged table, one whose old keys are not those of the table's primary key, or one with triggers of its own. */
bool
inactive_refuse_partitions(const struct engine *e, struct error *err)
{
    bool ok = true;

    for (int i = 0; ok && i < e->table_count; i++) {
        struct params p = {0};
        struct result res = {0};

        if (e->tables[i].plan->source->partition_key == NULL)
            continue;
        params_uint(&p, job_active_oid(&e->job, i));
        ok = session_query_with(e->control, &res, err, sql_unstreamed_partitions, &p);
        if (ok && result_rows(&res) > 0) {
            ok = error_set(err, ERROR_FAILED, "partition %s of %s %s", row_text(&res, 0, "name"),
                           e->tables[i].plan->names.source_sql, row_text(&res, 0, "what"));
            error_hint(err, "Change that, or detach it; then compare all rows with: " COMMAND("verify"),
                       e->job.name);
        }
        result_free(&res);
    }
    return ok;
}

bool
inactive_is_unjudged(const struct engine *e)
{
    for (int i = 0; e->distrusted && !e->repartitioned && i < e->table_count; i++)
        if (e->tables[i].plan->rows.compare.left_out.count > 0)
            return true;
    return false;
}

bool
inactive_refuse_unjudged(const struct engine *e, struct error *err)
{
    for (int i = 0; e->distrusted && !e->repartitioned && i < e->table_count; i++) {
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
    return !e->distrusted || ((e->repartitioned || renew_guards(e, err)) &&
                              guard_note_seals(e->control, &e->job, &e->seals, err));
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
    if (same && e->repartitioned)
        log_info("all rows were compared: the partitions as they are now are taken for right");
    else if (same)
        log_info("all rows were compared: the inactive table%s trusted again",
                 e->table_count > 1 ? "s are" : " is");
    e->repartitioned = e->repartitioned && !same;
    return true;
}
