/* The indexes of the shadows, and the apply of the changes before the start barrier. */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/count.h"
#include "core/list.h"
#include "core/log.h"
#include "core/mem.h"
#include "engine.h"
#include "load.h"
#include "parallel.h"
#include "pg/redact.h"
#include "pg/sqlstate.h"
#include "phases.h"
#include "stages.h"

#define POLL_MS 50

/* The order in which the indexes are built. */
enum wave {
    /*
     * The index of the key, which the apply needs, and indexes that cannot refuse any value that the source
     * has held.
     */
    WAVE_KEY_AND_PLAIN,
    WAVE_KEY_ALONE, /* an index of the key that locks the shadow */
    /* Indexes that can be built only after the changes up to the start barrier are applied. */
    WAVE_LATE,
    WAVE_ALONE,
};

/* The indexes that are built at the same time. */
struct work {
    int count;
    const struct plan_index **indexes;
};

static enum wave
wave_of(const struct plan_index *index)
{
    if (index->key)
        return index->exclusive ? WAVE_KEY_ALONE : WAVE_KEY_AND_PLAIN;
    if (index->exclusive)
        return WAVE_ALONE;
    return index->late ? WAVE_LATE : WAVE_KEY_AND_PLAIN;
}

/* An earlier instance has built the index. A plain CREATE INDEX either completes or leaves nothing. */
static bool
is_built(struct engine *e, uint32_t shadow, const struct plan_index *index, bool *built, struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    bool ok;

    params_uint(&p, shadow);
    params_text(&p, index->name);
    ok = session_row_with(
        e->control, &res, err,
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = "
        "i.indexrelid WHERE i.indrelid = $1 AND c.relname = $2 AND i.indisvalid) AS built",
        &p);
    *built = ok && row_bool(&res, 0, "built");
    result_free(&res);
    return ok;
}

static bool
add_indexes(struct engine *e, int table, enum wave wave, struct work *work, struct error *err)
{
    const struct plan *plan = e->tables[table].plan;

    work->indexes =
        mem_array(work->indexes, (size_t)(work->count + plan->index_count) + 1, sizeof(struct plan_index *));
    for (int i = 0; i < plan->index_count; i++) {
        const struct plan_index *index = &plan->indexes[i];
        bool built;

        if (wave_of(index) != wave)
            continue;
        if (!is_built(e, e->job.tables[table].shadow_oid, index, &built, err))
            return false;
        if (!built)
            work->indexes[work->count++] = index;
    }
    return true;
}

static int
largest_first(const void *a, const void *b)
{
    const struct plan_index *x = *(const struct plan_index *const *)a;
    const struct plan_index *y = *(const struct plan_index *const *)b;

    return x->bytes != y->bytes ? (x->bytes > y->bytes ? -1 : 1) : strcmp(x->name, y->name);
}

static bool
fail(const struct engine *e, struct error *err)
{
    error_redact(err);
    error_context(err, "building the indexes of %s%s", e->tables[0].plan->names.shadow_sql,
                  e->table_count > 1 ? " and others" : "");
    if (sqlstate_is(err, SQLSTATE_UNIQUE_VIOLATION))
        error_hint(err, "The data violates a unique constraint of the new definition. Nothing was swapped.");
    return false;
}

/* Run the statements, and tick meanwhile. */
static bool
build(struct engine *e, const struct string_list *sql, int workers, struct error *err)
{
    struct parallel *p =
        parallel_start(e->options.connection, "index", (const char *const *)sql->items, sql->count, workers);
    struct error stop = {0};
    bool ok = true;

    while (!parallel_done(p)) {
        if (!ok) {
            parallel_cancel(p);
            clock_sleep(POLL_MS);
        } else {
            ok = engine_wait(e, POLL_MS, &stop);
        }
        progress_show(&e->progress, parallel_finished(p), sql->count, parallel_finished(p), "indexes built",
                      NULL);
    }
    if (!parallel_finish(p, err))
        ok = fail(e, err);
    if (stop.message != NULL)
        error_move(err, &stop);
    return ok;
}

/*
 * While every session has an index to build, parallel workers of the server would only add the cost of
 * sharing the work (a tenth to a third of the processor time). So only the last indexes are built with them.
 * Where a single index would remain for the end, with the other processors idle, it gets a session of its own
 * from the beginning.
 */
static bool
build_work(struct engine *e, const struct work *work, int workers, struct error *err)
{
    /* How many are built with parallel workers. */
    int rest = workers > 1 ? work->count % workers : work->count;
    int sessions = workers;
    struct string_list sql = {0};
    bool ok;

    if (work->count > workers && rest == 1) {
        sessions++;
        rest = 0;
    }
    for (int i = 0; i < work->count; i++)
        list_addf(&sql, "%s; %s",
                  i < work->count - rest ? "SET max_parallel_maintenance_workers = 0"
                                         : "RESET max_parallel_maintenance_workers",
                  work->indexes[i]->sql);
    ok = build(e, &sql, sessions, err);
    list_free(&sql);
    return ok;
}

static bool
build_wave(struct engine *e, enum wave wave, struct error *err)
{
    bool alone = wave == WAVE_KEY_ALONE || wave == WAVE_ALONE;
    struct work work = {0};
    bool ok = true;

    for (int i = 0; ok && i < e->table_count; i++)
        ok = add_indexes(e, i, wave, &work, err);
    if (ok && work.count > 0) {
        qsort(work.indexes, (size_t)work.count, sizeof(*work.indexes), largest_first);
        ok = build_work(e, &work, alone ? 1 : e->options.workers, err);
    }
    free(work.indexes);
    return ok;
}

static int
index_count(const struct engine *e)
{
    int count = 0;

    for (int i = 0; i < e->table_count; i++)
        count += e->tables[i].plan->index_count;
    return count;
}

/*
 * Once the index of the key exists, the changes up to the start barrier can be applied. Copied rows may be
 * newer than those changes. So values may collide for a while in other unique indexes, and the expression of
 * a new index may not accept a value that has been replaced since. Those indexes are built after the changes
 * are applied.
 */
enum step
phase_index(struct engine *e, struct error *err)
{
    char text[32];
    bool ok = stages_open_stream(e, err) && build_wave(e, WAVE_KEY_AND_PLAIN, err) &&
              build_wave(e, WAVE_KEY_ALONE, err);

    if (ok)
        engine_kill_point("index-key");
    ok = ok && engine_find_sweep_needed(e, err) && stages_open_apply(e, err) && engine_sync(e, err) &&
         build_wave(e, WAVE_LATE, err) && build_wave(e, WAVE_ALONE, err);
    if (!ok)
        return STEP_FAILED;
    engine_kill_point("index-done");
    log_info("built %d %s in %s", index_count(e), count_word(index_count(e), "index", "indexes"),
             engine_phase_time(e, text));
    return STEP_NEXT;
}
