/* The proof of parity: both tables at one log position, and the keys touched since, down to the lock. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "engine.h"
#include "pg/redact.h"
#include "vacuum.h"

#define HOLD_RETRY_MS 20
#define DIRTY_FEW 500  /* kept down to so many keys while the job stays in sync … */
#define DIRTY_LEAST 10 /* … and so many, as far as they can be, at the last moment before the lock */
#define LAST_ROUNDS 3
#define DIRTY_MANY 2000   /* more than this are not compared under the lock: it is given back */
#define DIRTY_SLICE 20000 /* compared at a time: all that differ are then known by name */
#define DIRTY_ROUNDS 20
#define REWRITTEN_ROUNDS 5 /* new storage of the table during the verification makes it start over */
#define MISMATCHES_SHOWN 10

/* A transaction kept open for its snapshot. */
struct exported {
    struct session *session;
    char *name;     /* of pg_export_snapshot() */
    char *snapshot; /* pg_current_snapshot() */
    lsn_t lsn;
};

static void
exported_close(struct exported *x)
{
    session_close(x->session);
    free(x->name);
    free(x->snapshot);
    memset(x, 0, sizeof(*x));
}

/* A new snapshot in x's session, which is opened where there is none yet. */
static bool
export_snapshot(struct engine *e, struct exported *x, struct error *err)
{
    struct result res = {0};
    bool ok;

    if (x->session == NULL)
        x->session = session_open(e->options.connection, SESSION_SQL, "snapshot", err);
    if (x->session == NULL)
        return false;
    session_rollback(x->session);
    ok = session_execute(x->session, err, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY") &&
         session_row(x->session, &res, err,
                     "SELECT pg_catalog.pg_export_snapshot(), pg_catalog.pg_current_snapshot(), "
                     "pg_catalog.pg_current_wal_insert_lsn(), "
                     "pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())",
                     0);
    if (ok) {
        free(x->name);
        free(x->snapshot);
        x->name = mem_strdup(result_text(&res, 0, 0));
        x->snapshot = mem_strdup(result_text(&res, 0, 1));
        x->lsn = result_lsn(&res, 0, 2);
        e->oldest_snapshot = strtoull(result_text(&res, 0, 3), NULL, 10);
    }
    result_free(&res);
    return ok ? true : error_context(err, "taking a snapshot for the verification");
}

/* Where one has to be told again, all are. */
static enum apply_hold_outcome
hold(struct engine *e, const char *snapshot, struct error *err)
{
    enum apply_hold_outcome outcome = HOLD_DONE;

    for (int i = 0; i < e->table_count && outcome == HOLD_DONE; i++)
        outcome = apply_hold(e->tables[i].apply, snapshot, err);
    return outcome;
}

/*
 * Bring the shadows to exactly what the sources' snapshot sees: apply, up to a marker that follows it, the
 * transactions it sees and hold back those it does not. A snapshot that does not see a transaction already
 * applied (its commit waits for a standby) is taken again.
 */
static bool
align(struct engine *e, struct exported *source, struct exported *shadow, struct error *err)
{
    for (;;) {
        if (!export_snapshot(e, source, err))
            return false;
        switch (hold(e, source->snapshot, err)) {
        case HOLD_FAILED:
            return false;
        case HOLD_TOO_EARLY:
            if (!engine_wait(e, HOLD_RETRY_MS, err))
                return false;
            continue;
        case HOLD_DONE:
            break;
        }
        break;
    }
    if (!engine_sync(e, err) || !export_snapshot(e, shadow, err))
        return false;
    for (int i = 0; i < e->table_count; i++) {
        apply_dirty_start(e->tables[i].apply);
        apply_release(e->tables[i].apply);
    }
    return true;
}

/* One table's comparison, while all go on being applied. */
static bool
compare(struct engine *e, int table, const struct exported *source, const struct exported *shadow,
        struct verify_result *result, struct error *err)
{
    /* The original is the side that is transformed, also where it is the one that follows. */
    bool turned = job_is_turned(&e->job);
    struct verify_request request = {
        .plan = turned ? e->tables[table].plans->proof : e->tables[table].plan,
        .connection = e->options.connection,
        .source_snapshot = turned ? shadow->name : source->name,
        .shadow_snapshot = turned ? source->name : shadow->name,
        .workers = e->options.workers,
        .chunk_bytes = e->options.chunk_bytes,
    };
    struct verify *v = verify_start(&request, err);
    struct error failed = {0};
    bool ok = true;

    if (v == NULL)
        return false;
    while (!verify_done(v)) {
        if (ok && !(ok = engine_apply(e, &failed)))
            verify_cancel(v);
        else if (!ok)
            clock_sleep(HOLD_RETRY_MS);
        progress_show(&e->progress, (int64_t)((table + verify_progress(v)) * 10000 / e->table_count), 10000,
                      verify_rows_read(v) / 2, "rows", NULL);
    }
    if (!verify_finish(v, result, err))
        ok = error_context(err, "verifying parity");
    if (failed.message != NULL)
        error_move(err, &failed);
    error_clear(&failed);
    return ok;
}

static bool
compare_all(struct engine *e, const struct exported *source, const struct exported *shadow,
            struct verify_result *results, struct error *err)
{
    for (int i = 0; i < e->table_count; i++)
        if (!compare(e, i, source, shadow, &results[i], err))
            return false;
    return true;
}

/* The keys that differ, for people; at most a few. */
static bool
parity_failed(const struct engine *e, int table, const struct verify_result *r, uint64_t count,
              struct error *err)
{
    static const char *const what[] = {"missing", "extra", "different"};
    struct buffer text = {0};
    int shown = 0;

    error_set(err, ERROR_PARITY, "parity failed: %s%" PRIu64 " %s%s%s, nothing was swapped",
              r->count_is_least ? "at least " : "", count, count == 1 ? "key differs" : "keys differ",
              e->table_count > 1 ? " in " : "", e->table_count > 1 ? e->tables[table].plan->shadow_sql : "");
    if (job_is_turned(&e->job))
        error_hint(err, "The new table%s. Verify all of it with: pgrecast verify %s",
                   e->table_count > 1 ? "s serve" : " serves", e->job.name);
    for (int i = 0; i < r->kept && shown < MISMATCHES_SHOWN; i++, shown++)
        buffer_printf(&text, "%s%s in %s: %s", i > 0 ? "\n" : "", what[r->mismatches[i].difference],
                      job_is_turned(&e->job) ? "the original" : "the new table", r->mismatches[i].key);
    if (shown > 0)
        error_detail(err, "%s", text.data);
    buffer_free(&text);
    return false;
}

/*
 * A key that differs and that the stream has touched since the snapshot is checked again with the dirty keys
 * (a value read from the source may be newer than the snapshot). Any other is a failure.
 */
static bool
judge(struct engine *e, int table, const struct verify_result *r, struct error *err)
{
    uint64_t wrong = r->mismatch_count - (uint64_t)r->kept;

    if (r->mismatch_count == 0)
        return true;
    if (!engine_check_definition(e, err)) /* then that is why */
        return false;
    if (!engine_sync(e, err)) /* so that whatever a value may have come from is in the dirty set */
        return false;
    for (int i = 0; i < r->kept; i++) {
        if (!apply_dirty_has(e->tables[table].apply, r->mismatches[i].key_values))
            wrong++;
    }
    return wrong == 0 || parity_failed(e, table, r, wrong, err);
}

static bool
judge_all(struct engine *e, const struct verify_result *results, struct error *err)
{
    for (int i = 0; i < e->table_count; i++)
        if (!judge(e, i, &results[i], err))
            return false;
    return true;
}

/* All tables together. One table's hash stays what it is; several are hashed once more, in their order. */
struct total {
    int64_t rows;
    uint64_t mismatches;
    char hash[33];
};

static struct total
sum_results(const struct verify_result *results, int count)
{
    struct total total = {0};
    XXH3_state_t *state = XXH3_createState();
    XXH128_hash_t hash;

    XXH3_128bits_reset(state);
    for (int i = 0; i < count; i++) {
        total.rows += results[i].source_rows;
        total.mismatches += results[i].mismatch_count;
        XXH3_128bits_update(state, results[i].hash, strlen(results[i].hash));
    }
    hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    if (count == 1)
        snprintf(total.hash, sizeof(total.hash), "%s", results[0].hash);
    else
        snprintf(total.hash, sizeof(total.hash), "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64,
                 (uint64_t)hash.low64);
    return total;
}

static bool
save_result(struct engine *e, const struct total *r, lsn_t lsn, struct error *err)
{
    char id[24], text[LSN_TEXT_SIZE], rows[24], mismatches[24];

    snprintf(id, sizeof(id), "%" PRId64, e->job.id);
    snprintf(rows, sizeof(rows), "%" PRId64, r->rows);
    snprintf(mismatches, sizeof(mismatches), "%" PRIu64, r->mismatches);
    e->report->verified = true;
    e->report->verify_lsn = lsn;
    e->report->rows_verified = r->rows;
    snprintf(e->report->hash, sizeof(e->report->hash), "%s", r->hash);
    return session_query(
        e->control, NULL, err,
        "UPDATE pgrecast.progress SET verify_lsn = $2, verify_rows = $3, verify_mismatches = $4, "
        "verify_hash = $5 WHERE job_id = $1",
        5, id, lsn_format(lsn, text), rows, mismatches, r->hash);
}

/*
 * When a session that exported a snapshot has ended, the snapshot is not found, or no more: that is a lost
 * connection, whatever the error says.
 */
static void
blame_snapshots(const struct exported *source, const struct exported *shadow, struct error *err)
{
    const struct exported *both[] = {source, shadow};

    for (size_t i = 0; i < 2; i++) {
        struct error failed = {0};

        if (both[i]->session != NULL && !session_execute(both[i]->session, &failed, "SELECT") &&
            failed.connection_lost)
            err->connection_lost = true;
        error_clear(&failed);
    }
}

static void
free_results(struct verify_result *results, int count)
{
    for (int i = 0; i < count; i++)
        verify_result_free(&results[i]);
    free(results);
}

static bool
verify_once(struct engine *e, struct error *err)
{
    struct exported source = {0}, shadow = {0};
    struct verify_result *results = mem_alloc((size_t)e->table_count * sizeof(*results));
    struct total total;
    char text[LSN_TEXT_SIZE], took[32];
    int64_t began = clock_ms();
    double seconds;
    lsn_t lsn;
    bool ok = align(e, &source, &shadow, err);

    engine_kill_point("verify-aligned");
    ok = ok && compare_all(e, &source, &shadow, results, err);
    if (!ok && !err->stopped)
        blame_snapshots(&source, &shadow, err);
    seconds = (double)(clock_ms() - began) / 1000;
    lsn = source.lsn;

    exported_close(&source); /* before the judgement, which may take a while */
    exported_close(&shadow);
    if (ok && engine_dirty_truncated(e)) { /* nothing to judge: all of it is compared again */
        free_results(results, e->table_count);
        return true;
    }
    total = sum_results(results, e->table_count);
    ok = ok && judge_all(e, results, err) && save_result(e, &total, lsn, err);
    if (ok)
        log_info("verified in %s: %" PRId64 " rows are equal at %s, hash %s",
                 clock_format_duration(seconds, took), total.rows, lsn_format(lsn, text), total.hash);
    free_results(results, e->table_count);
    return ok;
}

/* TRUNCATE, VACUUM FULL and CLUSTER give the table new storage, in which the snapshot finds nothing: compare
 * anew. */
bool
parity_verify(struct engine *e, struct error *err)
{
    e->proven = false;
    for (int i = 0; i < REWRITTEN_ROUNDS; i++) {
        bool ok = verify_once(e, err);

        if (ok && !engine_dirty_truncated(e)) {
            e->proven = true;
            return true;
        }
        if (!ok && strcmp(err->sqlstate, VERIFY_REWRITTEN) != 0)
            return false;
        log_info("a table got new storage during the verification, which starts over");
        error_clear(err);
    }
    return error_set(err, ERROR_FAILED, "a table got new storage again and again during the verification");
}

/* The shadows are complete: they are vacuumed while they are compared. */
enum step
phase_verify(struct engine *e, struct error *err)
{
    struct vacuum *vacuum;
    bool ok;

    if (!stages_open_stream(e, err) || !stages_open_apply(e, err))
        return STEP_FAILED;
    vacuum = vacuum_start(e, e->options.verify ? 1 : e->options.workers);
    ok = !e->options.verify || parity_verify(e, err);
    if (!vacuum_finish(e, vacuum, ok, err))
        return STEP_FAILED;
    engine_kill_point("verify-done");
    return STEP_NEXT;
}

/* One slice of a table's dirty keys. What is not equal, or could not be compared, is dirty again. */
static bool
reduce_slice(struct engine *e, const struct engine_table *t, struct error *err)
{
    struct session *s = e->applying;
    struct verify_result result = {0};
    bool ok = session_execute(s, err, "BEGIN ISOLATION LEVEL REPEATABLE READ") &&
              apply_dirty_load(t->apply, DIRTY_SLICE, err) &&
              verify_keys(s, t->plan, apply_keys_table(t->apply), &result, err) &&
              apply_dirty_unload(t->apply, err) && session_execute(s, err, "COMMIT");

    if (!ok || result.mismatch_count > (uint64_t)result.kept)
        apply_dirty_restore(t->apply);
    else
        for (int i = 0; i < result.kept; i++)
            apply_dirty_add(t->apply, result.mismatches[i].key_values);
    verify_result_free(&result);
    if (!ok) {
        session_rollback(s);
        if (error_is_of_a_row(
                err)) { /* a row that cannot be converted: the apply will meet it, and name it */
            error_clear(err);
            ok = true;
        }
    }
    return ok;
}

static bool
reduce_table(struct engine *e, const struct engine_table *t, struct error *err)
{
    int64_t slices = (apply_dirty_count(t->apply) + DIRTY_SLICE - 1) / DIRTY_SLICE;

    for (int64_t i = 0; i < slices; i++) {
        if (!engine_to_boundary(e, err) || !reduce_slice(e, t, err) || !engine_tick(e, err))
            return false;
    }
    return true;
}

/*
 * Compare the dirty keys as one snapshot sees both sides. A key that is equal there is proven as of that
 * snapshot, and whatever touches it later makes it dirty again. One that is not may only lag: it stays dirty,
 * and the check under the lock is the one that judges.
 */
static bool
reduce_to(struct engine *e, int64_t few, int rounds, struct error *err)
{
    for (int round = 0; round < rounds && engine_dirty_count(e) > few; round++) {
        if (!engine_sync(e, err))
            return false;
        for (int i = 0; i < e->table_count; i++)
            if (!reduce_table(e, &e->tables[i], err))
                return false;
    }
    return true;
}

bool
parity_reduce_dirty(struct engine *e, struct error *err)
{
    return reduce_to(e, DIRTY_FEW, DIRTY_ROUNDS, err);
}

bool
parity_reduce_last(struct engine *e, struct error *err)
{
    return reduce_to(e, DIRTY_LEAST, LAST_ROUNDS, err);
}

static bool
check_table(struct engine *e, int table, struct error *err)
{
    struct engine_table *t = &e->tables[table];
    struct verify_result result = {0};
    bool ok;

    if (apply_dirty_count(t->apply) == 0)
        return true;
    ok = apply_dirty_load(t->apply, DIRTY_MANY, err) &&
         verify_keys(e->applying, t->plan, apply_keys_table(t->apply), &result, err);
    if (ok && result.mismatch_count > 0)
        ok = parity_failed(e, table, &result, result.mismatch_count, err);
    verify_result_free(&result);
    return ok;
}

bool
parity_check_dirty(struct engine *e, struct error *err)
{
    bool ok = true;

    if (engine_dirty_truncated(e) || engine_dirty_count(e) > DIRTY_MANY)
        return error_set(err, ERROR_LOCK, "too many rows changed since they were compared");
    for (int i = 0; ok && i < e->table_count; i++)
        ok = check_table(e, i, err);
    for (int i = 0; !ok && i < e->table_count; i++)
        apply_dirty_restore(e->tables[i].apply);
    return ok;
}
