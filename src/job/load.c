/* Filling the shadow: the copy, and the apply of the changes that were made meanwhile. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "additions.h"
#include "core/clock.h"
#include "core/count.h"
#include "core/log.h"
#include "core/mem.h"
#include "early.h"
#include "engine.h"
#include "inactive.h"
#include "load.h"
#include "phases.h"
#include "stages.h"
#include "state/chunk.h"
#include "state/published.h"
#include "tables.h"
#include "watch.h"

#define POLL_MS 50
#define RESTARTS_MOST 20  /* how often the copy begins again because the source was rewritten */
#define CAUGHT_UP_MS 1000 /* if a marker passes within this time, the apply has caught up */
#define BEHIND_REPORT_MS 60000

static struct copy_request
copy_request(struct engine *e, int table)
{
    return (struct copy_request){
        .plan = e->tables[table].plan,
        .connection = e->options.connection,
        .table = {.job_id = e->job.id, .number = table + 1, .instance = e->job.instance},
        .x0 = e->job.x0,
        .workers = e->options.workers,
        .chunk_bytes = e->options.chunk_bytes,
        .progress = &e->tables[table].copied,
    };
}

static bool
copy_once(struct engine *e, int table, enum copy_outcome *outcome, struct error *err)
{
    struct copy_request request = copy_request(e, table);
    struct copy *copy = copy_start(&request, err);
    struct error stop = {0};
    bool ok = true;

    if (copy == NULL)
        return false;
    while (!copy_done(copy)) {
        if (ok && !engine_wait(e, POLL_MS, &stop)) {
            ok = false;
            copy_cancel(copy);
        }
        if (table == e->table_count - 1 && atomic_load(&request.progress->rows) > 0)
            engine_kill_point("copy-chunk");
        engine_show_copy(e);
    }
    *outcome = copy_finish(copy, err);
    if (*outcome == COPY_FAILED)
        engine_name_table(e, &e->tables[table], err);
    if (!ok)
        error_move(err, &stop);
    error_clear(&stop);
    return ok && *outcome != COPY_FAILED;
}

/* Read the storage that the table has now, and check that nothing else about it has changed. */
static bool
refresh_source(struct engine *e, struct table *source, const char *source_sql, struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    bool ok;

    params_uint(&p, source->oid);
    ok = session_row_with(
        e->control, &res, err,
        "SELECT pg_catalog.pg_relation_filenode($1::pg_catalog.oid::pg_catalog.regclass) AS filenode", &p);
    if (ok && row_null(&res, 0, "filenode"))
        ok = error_set(err, ERROR_FAILED, "%s was dropped while the job was running", source_sql);
    if (ok)
        source->relfilenode = (oid_t)row_uint(&res, 0, "filenode");
    result_free(&res);
    return ok && watch_now(e, err);
}

/*
 * The recorded chunks were read from the storage of that time. After a resume the table may have another one;
 * then they are forgotten.
 */
static bool
note_storage(struct engine *e, int table, struct error *err)
{
    e->job.tables[table].copied_filenode = e->tables[table].plan->source->relfilenode;
    return job_state_save_table(e->control, &e->job, table, err);
}

static bool
start_over(struct engine *e, int table, struct error *err)
{
    const struct plan *plan = e->tables[table].plan;

    log_info("%s got new storage (TRUNCATE, VACUUM FULL or CLUSTER): the copy starts over",
             plan->names.source_sql);
    return session_execute(e->control, err, "BEGIN") &&
           session_executef(e->control, err, "TRUNCATE %s%s", table_only(plan->target),
                            plan->names.shadow_sql) &&
           state_chunk_forget(e->control, &e->job, table + 1, err) && session_commit(e->control, err);
}

/* Copy a table, and begin again whenever it has got new storage meanwhile. */
static bool
copy_table(struct engine *e, int table, struct error *err)
{
    const struct plan *plan = e->tables[table].plan;
    struct job_table *state = &e->job.tables[table];
    enum copy_outcome outcome = COPY_REWRITTEN;

    for (int i = 0; outcome == COPY_REWRITTEN; i++) {
        bool other;

        if (i > RESTARTS_MOST)
            return error_set(err, ERROR_FAILED, "%s was rewritten again and again while it was copied",
                             plan->names.source_sql);
        if (!refresh_source(e, plan->source, plan->names.source_sql, err))
            return false;
        other = state->copied_filenode != 0 && state->copied_filenode != plan->source->relfilenode;
        if ((other && !start_over(e, table, err)) || !note_storage(e, table, err) ||
            !copy_once(e, table, &outcome, err))
            return false;
    }
    return true;
}

bool
engine_find_sweep_needed(struct engine *e, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(e->control, &res, err,
                          "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()) AS xid", 0);

    e->sweep_needed = ok && copy_sweep_needed(row_uint(&res, 0, "xid"));
    result_free(&res);
    return ok;
}

/* Store the current log position. Every row that the copy has read had its values before this position. */
static bool
note_exact(struct engine *e, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(e->control, &res, err, "SELECT pg_catalog.pg_current_wal_insert_lsn() AS lsn", 0);

    e->job.exact = ok ? row_lsn(&res, 0, "lsn") : 0;
    result_free(&res);
    return ok && job_state_save_start(e->control, &e->job, err);
}

/* One table after the other, because each copy uses all workers that the user allows. */
enum step
phase_copy(struct engine *e, struct error *err)
{
    bool ok = stages_open_stream(e, err);
    char text[32];

    for (int i = 0; ok && i < e->table_count; i++)
        ok = copy_table(e, i, err);
    if (!ok)
        return STEP_FAILED;
    engine_kill_point("copy-done");
    e->report->rows = 0;
    for (int i = 0; i < e->table_count; i++)
        e->report->rows += atomic_load(&e->tables[i].copied.rows);
    log_info("copied %" PRId64 " %s in %s, %.0f rows/s", e->report->rows,
             count_word(e->report->rows, "row", "rows"), engine_phase_time(e, text),
             (double)e->report->rows / engine_phase_seconds(e));
    return note_exact(e, err) ? STEP_NEXT : STEP_FAILED;
}

/* Apply until the end of the stream is near: until a marker passes quickly. */
static bool
catch_up(struct engine *e, struct error *err)
{
    int64_t began = clock_ms(), reported = began;

    for (;;) {
        int64_t asked = clock_ms();

        if (!engine_sync(e, err))
            return false;
        if (clock_ms() - asked < CAUGHT_UP_MS)
            return true;
        if (clock_ms() - reported > BEHIND_REPORT_MS) {
            log_warning("applying changes is slower than the writes to the table%s: still %.0f s behind "
                        "after %.0f min",
                        engine_plural(e), (double)(clock_ms() - asked) / 1000,
                        (double)(clock_ms() - began) / 60000);
            reported = clock_ms();
        }
    }
}

/* From now on the changes of the shadows can be streamed. Until the swap only the apply writes them. */
static bool
publish_shadows(struct engine *e, struct error *err)
{
    struct buffer sql = {0};
    bool ok;

    if (e->options.window_s == 0)
        return true;
    buffer_add_text(&sql, "ALTER PUBLICATION ");
    buffer_add_identifier(&sql, e->job.back_publication_name);
    for (int i = 0; i < e->table_count; i++)
        buffer_printf(&sql, "%sONLY %s", i > 0 ? ", " : " ADD TABLE ", e->tables[i].plan->names.shadow_sql);
    ok = session_execute(e->control, err, sql.data);
    buffer_free(&sql);
    return ok;
}

static bool
load_run_list(struct engine *e, const struct string_list *list, struct error *err)
{
    for (int i = 0; i < list->count; i++) {
        if (!session_execute(e->control, err, list->items[i]))
            return error_context(err, "%.300s", list->items[i]);
    }
    return true;
}

/* Completes all shadows in one transaction, and only once. */
static bool
complete_shadows(struct engine *e, struct error *err)
{
    bool ok;

    if (e->job.shadow_complete)
        return true;
    ok = early_enter(e, err) && session_execute(e->control, err, "BEGIN") && inactive_lock(e, err);
    for (int i = 0; ok && i < e->table_count; i++)
        ok = additions_remove(e, i, ADDITIONS_FILLED, err) && additions_check(e, i, err) &&
             load_run_list(e, &e->tables[i].plan->statements.finish_shadow, err) &&
             additions_remove(e, i, ADDITIONS_COMPLETE, err);
    ok = ok && early_create(e, err) && publish_shadows(e, err) && inactive_seal(e, err) &&
         published_note(e->control, &e->job, err) && watch_note_shadows(e, err) &&
         job_state_save_complete(e->control, &e->job, err) && session_commit(e->control, err);
    if (!ok)
        session_rollback(e->control);
    e->job.shadow_complete = ok;
    if (ok)
        engine_kill_point("catchup-shadow");
    return ok;
}

/* See copy.h. Changes are applied as usual while the list is made and until it is used. */
static bool
sweep_table(struct engine *e, int table, struct error *err)
{
    struct copy_request request = copy_request(e, table);
    int64_t rows;

    if (!engine_to_boundary(e, err) || !copy_sweep_find(e->applying, &request, err) || !engine_sync(e, err) ||
        !copy_sweep_insert(e->applying, &request, &rows, err))
        return error_context(err, "looking for old rows that look new in %s",
                             e->tables[table].plan->names.source_sql);
    if (rows > 0)
        log_info("%" PRId64 " old %s of %s carried the numbers of recent transactions and %s copied now",
                 rows, count_word(rows, "row", "rows"), e->tables[table].plan->names.source_sql,
                 count_word(rows, "was", "were"));
    return true;
}

static bool
sweep(struct engine *e, struct error *err)
{
    if (!e->sweep_needed)
        return true;
    for (int i = 0; i < e->table_count; i++)
        if (!sweep_table(e, i, err))
            return false;
    if (!note_exact(e, err))
        return false;
    for (int i = 0; i < e->table_count; i++)
        apply_set_exact(e->tables[i].apply, e->job.exact);
    e->sweep_needed = false;
    return true;
}

bool
engine_note_complete(struct engine *e, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(e->control, &res, err,
                          "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()) AS xid", 0);

    if (ok)
        e->oldest_snapshot = row_uint(&res, 0, "xid");
    result_free(&res);
    return ok;
}

enum step
phase_catchup(struct engine *e, struct error *err)
{
    char text[32];
    bool ok = stages_open_stream(e, err) && (engine_applies(e) || engine_find_sweep_needed(e, err)) &&
              stages_open_apply(e, err) && catch_up(e, err) && sweep(e, err) && complete_shadows(e, err) &&
              engine_note_complete(e, err) && early_fill(e, err);

    if (!ok)
        return STEP_FAILED;
    engine_kill_point("catchup-done");
    log_info("caught up in %s: %" PRIu64 " %s applied", engine_phase_time(e, text), engine_changes(e),
             count_word((int64_t)engine_changes(e), "change", "changes"));
    return STEP_NEXT;
}
