/* The indexes of the shadows, and the apply of what came before the start barrier. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/list.h"
#include "core/log.h"
#include "core/mem.h"
#include "engine.h"
#include "parallel.h"
#include "pg/redact.h"

#define POLL_MS 50

/* In which order they are built. */
enum wave {
    WAVE_KEY_AND_PLAIN, /* the key, which the apply needs, and those that all values of the source have passed
                         */
    WAVE_KEY_ALONE,     /* a key that locks the shadow */
    WAVE_LATE,          /* after the start barrier */
    WAVE_ALONE,
};

/* Indexes to be built at once. */
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

/* Built by an instance before this one. A plain CREATE INDEX is there whole or not at all. */
static bool
is_built(struct engine *e, uint32_t shadow, const struct plan_index *index, bool *built, struct error *err)
{
    struct result res = {0};
    char oid[16];
    bool ok;

    snprintf(oid, sizeof(oid), "%" PRIu32, shadow);
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
    error_context(err, "building the indexes of %s%s", e->tables[0].plan->shadow_sql,
                  e->table_count > 1 ? " and others" : "");
    if (strcmp(err->sqlstate, "23505") == 0)
        error_hint(err, "The data violates a unique constraint of the new definition. Nothing was swapped.");
    return false;
}

/* Run the statements, keeping the loop alive. */
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
 * While every session has an index to build, parallel workers of the server would only add what it costs to
 * share the work (a tenth to a third of the time on the processor). They help with the last ones. A single
 * one that would be left for the end, with the other cores idle, shares them from the beginning.
 */
static bool
build_work(struct engine *e, const struct work *work, int workers, struct error *err)
{
    int rest = workers > 1 ? work->count % workers : work->count; /* with parallel workers */
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
 * With the key what happened up to the start barrier can be applied. Copied rows may be newer than those
 * changes, so that values may collide in other unique indexes for a while, and a new index may not stand a
 * value that is gone by now: those come after it.
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
    log_info("built %d index%s in %s", index_count(e), index_count(e) == 1 ? "" : "es",
             engine_phase_time(e, text));
    return STEP_NEXT;
}
