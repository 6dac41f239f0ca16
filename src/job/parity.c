/*
 * The proof of parity: both tables are compared at one log position, then the keys touched since, up to the
 * lock.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/clock.h"
#include "core/command.h"
#include "core/count.h"
#include "core/log.h"
#include "core/mem.h"
#include "engine.h"
#include "inactive.h"
#include "parity.h"
#include "pg/redact.h"
#include "pg/sqlstate.h"
#include "phases.h"
#include "rows/code.h"
#include "stages.h"
#include "tables.h"
#include "unequal.h"
#include "vacuum.h"
#include "watch.h"

#define HOLD_RETRY_MS 20
#define DIRTY_FEW 500  /* at most so many dirty keys remain while the job stays in sync */
#define DIRTY_LEAST 10 /* at most so many, where the writes allow it, remain just before the lock */
#define LAST_ROUNDS 3
/* With more dirty keys than this the lock is given back, because comparing them would take too long. */
#define DIRTY_MANY 2000
/* Dirty keys compared at a time; the comparison keeps every key of a slice that differs. */
#define DIRTY_SLICE 20000
#define DIRTY_ROUNDS 20
#define REWRITTEN_ROUNDS 5 /* how often the verification begins again because a table got new storage */
#define MISMATCHES_SHOWN 10

/* A session whose transaction stays open for its snapshot. */
struct exported {
    struct session *session;
    char *name;     /* from pg_export_snapshot() */
    char *snapshot; /* from pg_current_snapshot() */
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

/* Export a new snapshot in x's session; opens the session where there is none yet. */
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
         session_row(
             x->session, &res, err,
             "SELECT pg_catalog.pg_export_snapshot() AS name, pg_catalog.pg_current_snapshot() AS snapshot, "
             "pg_catalog.pg_current_wal_insert_lsn() AS lsn, "
             "pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()) AS xid",
             0);
    if (ok) {
        free(x->name);
        free(x->snapshot);
        x->name = row_copy(&res, 0, "name");
        x->snapshot = row_copy(&res, 0, "snapshot");
        x->lsn = row_lsn(&res, 0, "lsn");
        e->oldest_snapshot = row_uint(&res, 0, "xid");
    }
    result_free(&res);
    return ok ? true : error_context(err, "taking a snapshot for the verification");
}

/*
 * Give the snapshot to the apply of each table. If one apply needs a later snapshot, all do, because they
 * share one.
 */
static enum apply_hold_outcome
hold(struct engine *e, const char *snapshot, struct error *err)
{
    enum apply_hold_outcome outcome = HOLD_DONE;

    for (int i = 0; i < e->table_count && outcome == HOLD_DONE; i++)
        outcome = apply_hold(e->tables[i].apply, snapshot, err);
    return outcome;
}

/*
 * Bring the shadows to exactly the state that the sources' snapshot sees. Up to a marker that is written
 * after the snapshot, apply the transactions that the snapshot sees and hold back the others. A transaction
 * may be applied already although the snapshot does not see it, because its commit waits for a standby: then
 * a new snapshot is taken.
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

/* Size of the first tables, by which their shares of the progress are weighed. An empty table has one page. */
static int64_t
bytes_before(const struct engine *e, int count)
{
    int64_t bytes = 0;

    for (int i = 0; i < count; i++)
        bytes += e->tables[i].plans->forward->source->heap_bytes + 8192;
    return bytes;
}

/*
 * Compare one table, while the changes of all tables are applied. rows_before: rows of the tables that were
 * compared before, for the progress.
 */
static bool
parity_compare(struct engine *e, int table, const struct exported *source, const struct exported *shadow,
               int64_t rows_before, struct verify_result *result, struct error *err)
{
    /* The transformation is always of the original, also where the original is the inactive table. */
    bool reversed = job_is_reversed(&e->job);
    struct verify_request request = {
        .plan = reversed ? e->tables[table].plans->proof : e->tables[table].plan,
        .connection = e->options.connection,
        .source_snapshot = reversed ? shadow->name : source->name,
        .shadow_snapshot = reversed ? source->name : shadow->name,
        .workers = e->options.workers,
        .chunk_bytes = e->options.chunk_bytes,
    };
    struct verify *v = verify_start(&request);
    struct error failed = {0};
    int64_t before = bytes_before(e, table), whole = bytes_before(e, e->table_count);
    int64_t bytes = bytes_before(e, table + 1) - before;
    bool ok = true;

    while (!verify_done(v)) {
        if (ok && !(ok = engine_apply(e, &failed)))
            verify_cancel(v);
        else if (!ok)
            clock_sleep(HOLD_RETRY_MS);
        progress_show(&e->progress, before + (int64_t)(verify_progress(v) * (double)bytes), whole,
                      rows_before + verify_rows_read(v) / 2, "rows", NULL);
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
    int64_t rows = 0;

    for (int i = 0; i < e->table_count; i++) {
        if (!parity_compare(e, i, source, shadow, rows, &results[i], err))
            return false;
        rows += results[i].source_rows;
    }
    return true;
}

/*
 * Add to the error which rows differ because a stored generated column has another value than its expression
 * gives now.
 */
static void
blame_stored(struct engine *e, struct session *s, const struct plan *plan, const struct verify_result *r,
             struct error *err)
{
    struct string_list columns = {0};
    struct error ignored = {0};
    struct buffer text = {0};
    bool own = s == e->control; /* the other session is in the transaction that holds the locks */

    if (own && (!session_execute(s, &ignored, "BEGIN") || !code_guard(s, NULL, plan, &ignored)))
        goto out;
    for (int i = 0; i < r->kept && i < MISMATCHES_SHOWN; i++) {
        struct string_list found = {0};

        if (!verify_stored_columns(s, plan, &r->mismatches[i], &found, &ignored))
            error_clear(&ignored);
        for (int k = 0; k < found.count; k++) {
            list_add_once(&columns, found.items[k]);
            buffer_printf(&text, "%s%s: column \"%s\"", text.len > 0 ? "\n" : "", r->mismatches[i].key,
                          found.items[k]);
        }
        list_free(&found);
    }
    if (columns.count > 0) {
        error_detail(
            err,
            "Stored generated columns hold other values than their expressions give now, in rows that the "
            "change does not affect:\n%s",
            text.data);
        if (!job_is_reversed(&e->job))
            error_hint(err,
                       "ALTER TABLE keeps such values; a new table cannot have them. Where the new ones are "
                       "wanted: " COMMAND("abort") ", then run it again with --recompute-generated",
                       e->job.name);
    }
out:
    if (own)
        session_rollback(s);
    error_clear(&ignored);
    list_free(&columns);
    buffer_free(&text);
}

/*
 * The error: some of the keys that differ, for people. whole: all rows were compared, from the original to the new
 * table whichever is active.
 */
static bool
parity_failed(struct engine *e, int table, struct session *s, const struct plan *plan,
              const struct verify_result *r, uint64_t count, bool whole, struct error *err)
{
    static const char *const forth[] = {"missing", "extra", "different"}, *const back[] = {"extra", "missing",
                                                                                           "different"};
    const char *const *what = whole && job_is_reversed(&e->job) ? back : forth;
    struct buffer text = {0};
    int shown = 0;

    error_set(err, ERROR_PARITY, "parity failed: %s%" PRIu64 " %s%s%s, nothing was swapped",
              r->count_is_least ? "at least " : "", count,
              count_word((int64_t)count, "key differs", "keys differ"), e->table_count > 1 ? " in " : "",
              e->table_count > 1 ? e->tables[table].plan->names.shadow_sql : "");
    for (int i = 0; i < r->kept && shown < MISMATCHES_SHOWN; i++, shown++)
        buffer_printf(&text, "%s%s in %s: %s", i > 0 ? "\n" : "", what[r->mismatches[i].difference],
                      job_is_reversed(&e->job) ? "the original" : "the new table", r->mismatches[i].key);
    if (shown > 0)
        error_detail(err, "%s", text.data);
    buffer_free(&text);
    blame_stored(e, s, plan, r, err);
    return false;
}

/*
 * A key that differs is not counted if the stream has touched it since the snapshot: it is compared again
 * with the dirty keys, because a value read from the source may be newer than the snapshot. Any other key
 * that differs is a failure, and is counted.
 */
static bool
parity_judge(struct engine *e, int table, const struct verify_result *r, uint64_t *mismatches,
             struct error *err)
{
    uint64_t wrong = r->mismatch_count - (uint64_t)r->kept;
    bool first = *mismatches == 0;

    if (r->mismatch_count == 0)
        return true;
    if (!watch_now(e, err) || (e->tables[table].active.text != NULL && !watch_refuse(e, err)))
        return false;         /* the changed definition is the reason */
    if (!engine_sync(e, err)) /* so that every key whose value may be newer is in the dirty set */
        return false;
    for (int i = 0; i < r->kept; i++) {
        if (!apply_dirty_has(e->tables[table].apply, r->mismatches[i].key_values))
            wrong++;
    }
    *mismatches += wrong;
    return wrong == 0 || !first ||
           parity_failed(e, table, e->control, e->tables[table].plan, r, wrong, true, err);
}

/* All tables are judged, so that the count is complete; the error is that of the first table that differs. */
static bool
judge_all(struct engine *e, const struct verify_result *results, uint64_t *mismatches, struct error *err)
{
    *mismatches = 0;
    for (int i = 0; i < e->table_count; i++)
        if (!parity_judge(e, i, &results[i], mismatches, err) && err->kind != ERROR_PARITY)
            return false;
    return *mismatches == 0;
}

/*
 * The result of all tables together. For one table the digest is that table's; for several tables it is a
 * hash of their digests, in the order of the tables.
 */
struct total {
    int64_t rows;
    uint64_t mismatches; /* differences that are not left to the dirty keys */
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
    struct state_verification *v = &e->verification;

    *v = (struct state_verification){.lsn = lsn, .rows = r->rows, .mismatches = (int64_t)r->mismatches};
    snprintf(v->hash, sizeof(v->hash), "%s", r->hash);
    e->report->verified = true;
    e->report->verify_lsn = lsn;
    e->report->rows_verified = r->rows;
    snprintf(e->report->hash, sizeof(e->report->hash), "%s", r->hash);
    return state_progress_verified(e->control, &e->job, v, err);
}

/*
 * Save the figures of a verification that found differences. The differences are the error that is returned,
 * also where the figures cannot be saved.
 */
static void
save_unequal(struct engine *e, const struct total *r, lsn_t lsn, const struct error *found)
{
    struct error ignored = {0};

    save_result(e, r, lsn, &ignored);
    e->report->verified = false;
    unequal_note(e, found);
    error_clear(&ignored);
}

/*
 * When a session that exported a snapshot has ended, a reader fails because the snapshot does not exist. The
 * cause is a lost connection, so the error is marked as one.
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

    exported_close(&source); /* before the differences are judged, which may take a while */
    exported_close(&shadow);
    /* Nothing to judge: a TRUNCATE came, and everything is compared again. */
    if (ok && engine_dirty_truncated(e)) {
        free_results(results, e->table_count);
        return true;
    }
    total = sum_results(results, e->table_count);
    ok = ok && judge_all(e, results, &total.mismatches, err);
    if (ok)
        ok = save_result(e, &total, lsn, err);
    else if (err->kind == ERROR_PARITY && total.mismatches > 0)
        save_unequal(e, &total, lsn, err);
    if (ok)
        log_info("verified in %s: %" PRId64 " %s equal at %s, hash %s", clock_format_duration(seconds, took),
                 total.rows, count_word(total.rows, "row is", "rows are"), lsn_format(lsn, text), total.hash);
    free_results(results, e->table_count);
    return ok;
}

/*
 * TRUNCATE, VACUUM FULL and CLUSTER give the table new storage, in which the snapshot sees no rows: the
 * comparison begins again.
 */
bool
parity_verify(struct engine *e, struct error *err)
{
    e->proven = false;
    for (int i = 0; i < REWRITTEN_ROUNDS; i++) {
        bool ok = inactive_begin_proof(e, err) && verify_once(e, err);

        if (ok && !engine_dirty_truncated(e)) {
            if (!inactive_end_proof(e, err))
                return false;
            if (e->distrusted && !inactive_is_unjudged(e)) /* others could write a table meanwhile */
                continue;
            e->proven = true;
            error_clear(&e->unequal);
            return true;
        }
        if (!ok && !sqlstate_is(err, VERIFY_REWRITTEN))
            return false;
        log_info("a table got new storage during the verification, which starts over");
        error_clear(err);
    }
    return error_set(err, ERROR_FAILED, "a table got new storage again and again during the verification");
}

/* The shadows are complete. They are vacuumed while they are compared. */
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

/*
 * Compare one slice of a table's dirty keys. Keys that are not equal, or could not be compared, become dirty
 * again.
 */
static bool
reduce_slice(struct engine *e, const struct engine_table *t, struct error *err)
{
    struct session *s = e->applying;
    struct verify_result result = {0};
    bool ok = session_pin(s, err) && session_execute(s, err, "BEGIN ISOLATION LEVEL REPEATABLE READ") &&
              code_guard(s, NULL, t->plan, err) && apply_dirty_load(t->apply, DIRTY_SLICE, err) &&
              verify_keys(s, t->plan, apply_keys_table(t->apply), &result, err) &&
              apply_dirty_unload(t->apply, err) && session_commit(s, err);

    if (!ok || result.mismatch_count > (uint64_t)result.kept)
        apply_dirty_restore(t->apply);
    else
        for (int i = 0; i < result.kept; i++)
            apply_dirty_add(t->apply, result.mismatches[i].key_values);
    verify_result_free(&result);
    if (!ok) {
        session_rollback(s);
        if (error_is_of_a_row(
                err)) { /* a row that cannot be converted: the apply will fail on it, and name it */
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
 * snapshot, and a later change of the key makes it dirty again. A key that differs may only lag behind: it
 * stays dirty. The check under the lock decides.
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
    if (ok && result.mismatch_count > 0) {
        ok = parity_failed(e, table, e->applying, t->plan, &result, result.mismatch_count, false, err);
        e->verification.mismatches = (int64_t)result.mismatch_count;
        unequal_note(e, err);
    }
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
