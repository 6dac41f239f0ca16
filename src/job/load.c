/* Filling the shadow: the copy, its indexes, and the apply of what came meanwhile. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "engine.h"
#include "parallel.h"
#include "pg/redact.h"

#define POLL_MS 50
#define RESTARTS_MOST 20  /* of the copy, after the source was rewritten */
#define CAUGHT_UP_MS 1000 /* a marker comes through in this time: the apply keeps up */
#define BEHIND_REPORT_MS 60000

static int64_t
source_bytes(const struct engine *e, int64_t blocks)
{
    return blocks * e->copied.block_size;
}

static struct copy_request
copy_request(struct engine *e)
{
    return (struct copy_request){
        .plan = e->plan,
        .connection = e->options.connection,
        .job_id = e->job.id,
        .instance = e->job.instance,
        .x0 = e->job.x0,
        .workers = e->options.workers,
        .chunk_bytes = e->options.chunk_bytes,
        .progress = &e->copied,
    };
}

static bool
copy_once(struct engine *e, enum copy_outcome *outcome, struct error *err)
{
    struct copy_request request = copy_request(e);
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
        if (atomic_load(&e->copied.rows) > 0)
            engine_kill_point("copy-chunk");
        progress_show(&e->progress, source_bytes(e, atomic_load(&e->copied.blocks)),
                      source_bytes(e, atomic_load(&e->copied.total_blocks)), atomic_load(&e->copied.rows),
                      "rows", NULL);
    }
    *outcome = copy_finish(copy, err);
    if (!ok)
        error_move(err, &stop);
    error_clear(&stop);
    return ok && *outcome != COPY_FAILED;
}

/* The storage the table has now, and that nothing else about it has changed. */
static bool
refresh_source(struct engine *e, struct error *err)
{
    struct result res = {0};
    char oid[16];
    bool ok;

    snprintf(oid, sizeof(oid), "%" PRIu32, e->plan->source->oid);
    ok = session_row(e->control, &res, err,
                     "SELECT pg_catalog.pg_relation_filenode($1::pg_catalog.oid::pg_catalog.regclass)", 1,
                     oid);
    if (ok && result_null(&res, 0, 0))
        ok = error_set(err, ERROR_FAILED, "%s was dropped while the job was running", e->plan->source_sql);
    if (ok)
        e->plan->source->relfilenode = (oid_t)result_int(&res, 0, 0);
    result_free(&res);
    return ok && engine_check_definition(e, err);
}

/* The chunks recorded are of the storage they were read from: after a resume that may be another by now. */
static bool
note_storage(struct engine *e, struct error *err)
{
    e->job.copied_filenode = e->plan->source->relfilenode;
    return job_state_save_start(e->control, &e->job, err);
}

static bool
start_over(struct engine *e, struct error *err)
{
    char id[24];

    log_info("%s got new storage (TRUNCATE, VACUUM FULL or CLUSTER): the copy starts over",
             e->plan->source_sql);
    snprintf(id, sizeof(id), "%" PRId64, e->job.id);
    return session_execute(e->control, err, "BEGIN") &&
           session_executef(e->control, err, "TRUNCATE ONLY %s", e->plan->shadow_sql) &&
           session_query(e->control, NULL, err, "DELETE FROM pgrecast.chunk WHERE job_id = $1", 1, id) &&
           session_execute(e->control, err, "COMMIT");
}

/* Whether old rows may carry numbers that look new to the copy. */
static bool
find_sweep_needed(struct engine *e, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(e->control, &res, err,
                          "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())", 0);

    e->sweep_needed = ok && copy_sweep_needed(strtoull(result_text(&res, 0, 0), NULL, 10));
    result_free(&res);
    return ok;
}

/* The log position after which every row that the copy read is the stream's own past. */
static bool
note_exact(struct engine *e, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(e->control, &res, err, "SELECT pg_catalog.pg_current_wal_insert_lsn()", 0);

    e->job.exact = ok ? result_lsn(&res, 0, 0) : 0;
    result_free(&res);
    return ok && job_state_save_start(e->control, &e->job, err);
}

enum step
phase_copy(struct engine *e, struct error *err)
{
    enum copy_outcome outcome = COPY_REWRITTEN;
    char text[32];

    if (!stages_open_stream(e, err))
        return STEP_FAILED;
    for (int i = 0; outcome == COPY_REWRITTEN; i++) {
        bool other;

        if (i > RESTARTS_MOST) {
            error_set(err, ERROR_FAILED, "%s was rewritten again and again while it was copied",
                      e->plan->source_sql);
            return STEP_FAILED;
        }
        if (!refresh_source(e, err))
            return STEP_FAILED;
        other = e->job.copied_filenode != 0 && e->job.copied_filenode != e->plan->source->relfilenode;
        if ((other && !start_over(e, err)) || !note_storage(e, err) || !copy_once(e, &outcome, err))
            return STEP_FAILED;
    }
    engine_kill_point("copy-done");
    e->report->rows = atomic_load(&e->copied.rows);
    log_info("copied %" PRId64 " rows in %s, %.0f rows/s", e->report->rows, engine_phase_time(e, text),
             (double)e->report->rows / engine_phase_seconds(e));
    return note_exact(e, err) ? STEP_NEXT : STEP_FAILED;
}

/* Build some of the indexes, keeping the loop alive. */
static bool
build(struct engine *e, const char *const *sql, int count, int workers, struct error *err)
{
    struct parallel *p = parallel_start(e->options.connection, "index", sql, count, workers);
    struct error stop = {0};
    bool ok = true;

    while (!parallel_done(p)) {
        if (!ok) {
            parallel_cancel(p);
            clock_sleep(POLL_MS);
        } else {
            ok = engine_wait(e, POLL_MS, &stop);
        }
        progress_show(&e->progress, parallel_finished(p), count, parallel_finished(p), "indexes built", NULL);
    }
    if (!parallel_finish(p, err)) {
        error_redact(err);
        error_context(err, "building the indexes of %s", e->plan->shadow_sql);
        if (strcmp(err->sqlstate, "23505") == 0)
            error_hint(err,
                       "The data violates a unique constraint of the new definition. Nothing was swapped.");
        ok = false;
    }
    if (stop.message != NULL)
        error_move(err, &stop);
    return ok;
}

/* Built by an instance before this one. A plain CREATE INDEX is there whole or not at all. */
static bool
is_built(struct engine *e, const struct plan_index *index, bool *built, struct error *err)
{
    struct result res = {0};
    char oid[16];
    bool ok;

    snprintf(oid, sizeof(oid), "%" PRIu32, e->job.shadow_oid);
    ok = session_row(
        e->control, &res, err,
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = "
        "i.indexrelid WHERE i.indrelid = $1 AND c.relname = $2 AND i.indisvalid)",
        2, oid, index->name);
    *built = ok && result_bool(&res, 0, 0);
    result_free(&res);
    return ok;
}

static bool
build_matching(struct engine *e, bool key, bool exclusive, struct error *err)
{
    const char **sql = mem_array(NULL, (size_t)e->plan->index_count + 1, sizeof(*sql));
    int count = 0;
    bool ok = true;

    for (int i = 0; ok && i < e->plan->index_count; i++) {
        const struct plan_index *index = &e->plan->indexes[i];
        bool built;

        if (index->key != key || index->exclusive != exclusive)
            continue;
        ok = is_built(e, index, &built, err);
        if (ok && !built)
            sql[count++] = index->sql;
    }
    ok = ok && (count == 0 || build(e, sql, count, exclusive ? 1 : e->options.workers, err));
    free(sql);
    return ok;
}

/*
 * The key first. Then what happened up to the start barrier is applied: copied rows may be newer than those
 * changes, so that values of other unique indexes may collide for a while. Then the other indexes, those that
 * need the table alone last.
 */
enum step
phase_index(struct engine *e, struct error *err)
{
    char text[32];
    bool ok = stages_open_stream(e, err) && build_matching(e, true, false, err) &&
              build_matching(e, true, true, err);

    if (ok)
        engine_kill_point("index-key");
    ok = ok && find_sweep_needed(e, err) && stages_open_apply(e, err) && engine_sync(e, err) &&
         build_matching(e, false, false, err) && build_matching(e, false, true, err);
    if (!ok)
        return STEP_FAILED;
    engine_kill_point("index-done");
    log_info("built %d index%s in %s", e->plan->index_count, e->plan->index_count == 1 ? "" : "es",
             engine_phase_time(e, text));
    return STEP_NEXT;
}

static bool
vacuum(struct engine *e, struct error *err)
{
    char *sql = mem_printf("VACUUM (ANALYZE) %s", e->plan->shadow_sql);
    const char *const list[] = {sql};
    struct parallel *p = parallel_start(e->options.connection, "vacuum", list, 1, 1);
    struct error failed = {0};
    bool ok = true;

    while (!parallel_done(p)) {
        if (ok) {
            ok = engine_apply(e, err);
        } else {
            parallel_cancel(p);
            clock_sleep(POLL_MS);
        }
    }
    if (!parallel_finish(p, &failed) && ok) {
        error_move(err, &failed);
        ok = error_context(err, "vacuuming %s", e->plan->shadow_sql);
    }
    error_clear(&failed);
    free(sql);
    return ok;
}

/* Apply until the end of the stream is near: a marker comes through in a moment. */
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
            log_warning(
                "applying changes is slower than the writes to the table: still %.0f s behind after %.0f min",
                (double)(clock_ms() - asked) / 1000, (double)(clock_ms() - began) / 60000);
            reported = clock_ms();
        }
    }
}

/* From now on its changes can be streamed; nobody but the apply writes it before the swap. */
static bool
publish_shadow(struct engine *e, struct error *err)
{
    struct buffer sql = {0};
    bool ok;

    if (e->options.window_s == 0)
        return true;
    buffer_add_text(&sql, "ALTER PUBLICATION ");
    buffer_add_identifier(&sql, e->job.back_publication_name);
    buffer_printf(&sql, " ADD TABLE ONLY %s", e->plan->shadow_sql);
    ok = session_execute(e->control, err, sql.data);
    buffer_free(&sql);
    return ok;
}

static bool
run_list(struct engine *e, const struct string_list *list, struct error *err)
{
    for (int i = 0; i < list->count; i++) {
        if (!session_execute(e->control, err, list->items[i]))
            return error_context(err, "%.300s", list->items[i]);
    }
    return true;
}

/* All or nothing, and once. */
static bool
complete_shadow(struct engine *e, struct error *err)
{
    char id[24];
    bool ok;

    if (e->job.shadow_complete)
        return true;
    snprintf(id, sizeof(id), "%" PRId64, e->job.id);
    ok = session_execute(e->control, err, "BEGIN") && run_list(e, &e->plan->finish_shadow, err) &&
         publish_shadow(e, err) &&
         session_query(e->control, NULL, err, "UPDATE pgrecast.job SET shadow_complete = true WHERE id = $1",
                       1, id) &&
         session_execute(e->control, err, "COMMIT");
    if (!ok)
        session_rollback(e->control);
    e->job.shadow_complete = ok;
    if (ok)
        engine_kill_point("catchup-shadow");
    return ok;
}

/* See copy.h. While the list is made and until it is used, the apply goes on as ever. */
static bool
sweep(struct engine *e, struct error *err)
{
    struct copy_request request = copy_request(e);
    int64_t rows;

    if (!e->sweep_needed)
        return true;
    if (!engine_to_boundary(e, err))
        return false;
    if (!copy_sweep_find(apply_session(e->apply), &request, err) || !engine_sync(e, err) ||
        !copy_sweep_insert(apply_session(e->apply), &request, &rows, err) || !note_exact(e, err))
        return error_context(err, "looking for old rows that look new");
    if (rows > 0)
        log_info("%" PRId64 " old rows carried the numbers of recent transactions and were copied now", rows);
    apply_set_exact(e->apply, e->job.exact);
    e->sweep_needed = false;
    return true;
}

bool
engine_note_complete(struct engine *e, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(e->control, &res, err,
                          "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())", 0);

    if (ok)
        e->oldest_snapshot = strtoull(result_text(&res, 0, 0), NULL, 10);
    result_free(&res);
    return ok;
}

enum step
phase_catchup(struct engine *e, struct error *err)
{
    char text[32];
    bool ok = stages_open_stream(e, err) && (e->apply != NULL || find_sweep_needed(e, err)) &&
              stages_open_apply(e, err) && catch_up(e, err) && sweep(e, err) && complete_shadow(e, err) &&
              vacuum(e, err) && catch_up(e, err) && engine_note_complete(e, err);

    if (!ok)
        return STEP_FAILED;
    engine_kill_point("catchup-done");
    log_info("caught up in %s, vacuum and analyze included: %" PRIu64 " changes applied",
             engine_phase_time(e, text), apply_changes(e->apply));
    return STEP_NEXT;
}
