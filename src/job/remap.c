/* How values go back, changed by the maps that come with a rollback. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/log.h"
#include "core/mem.h"
#include "engine.h"

static bool
plan_with(struct engine *e, struct plan_set *set, int count, const char *const *maps, struct error *err)
{
    char *text = NULL;
    bool ok = plan_set_remap(e->control, set, count, maps, err);

    if (ok) {
        text = plan_set_write(set);
        ok = job_state_save_plan(e->control, &e->job, text, err);
    }
    free(text);
    return ok;
}

/* The maps of the request: of the command line, or in the job's row. */
static bool
plan_as_requested(struct engine *e, struct plan_set *set, struct error *err)
{
    const struct plan_options *given = &e->options.plan;
    const char **maps;
    struct result res = {0};
    char id[24];
    bool ok;

    if (e->rollback_only)
        return plan_with(e, set, given->reverse_map_count, given->reverse_maps, err);
    snprintf(id, sizeof(id), "%" PRId64, e->job.id);
    ok = session_query(e->control, &res, err,
                       "SELECT m.map FROM pgrecast.job AS j CROSS JOIN LATERAL "
                       "pg_catalog.jsonb_array_elements_text(j.reverse_maps) WITH ORDINALITY AS m (map, n) "
                       "WHERE j.id = $1 ORDER BY m.n",
                       1, id);
    if (ok) {
        maps = mem_array(NULL, (size_t)result_rows(&res) + 1, sizeof(*maps));
        for (int i = 0; i < result_rows(&res); i++)
            maps[i] = result_text(&res, i, 0);
        ok = plan_with(e, set, result_rows(&res), maps, err);
        free(maps);
    }
    result_free(&res);
    return ok;
}

struct plan_set *
remap_plan(struct engine *e, struct error *err)
{
    char *text;
    struct plan_set *made;

    if (!engine_to_boundary(e, err)) /* where the apply can change over */
        return NULL;
    text = plan_set_write(e->plans);
    made = plan_set_read(text, err);
    free(text);
    if (made != NULL && !plan_as_requested(e, made, err)) {
        plan_set_free(made);
        made = NULL;
    }
    return made;
}

static bool
rewrite_dirty(struct engine *e, struct apply *apply, struct error *err)
{
    struct apply_walk walk = {.left = apply_dirty_count(apply)};

    while (walk.left > 0) {
        if (!engine_to_boundary(e, err) || !apply_rewrite_dirty(apply, &walk, err) || !engine_apply(e, err))
            return false;
    }
    return true;
}

/* All of one table that are set aside now, once. */
static bool
retry_blocked(struct engine *e, struct apply *apply, struct error *err)
{
    int64_t until = apply_retried(apply) + apply_blocked(apply);

    while (apply_blocked(apply) > 0 && apply_retried(apply) < until) {
        if (!engine_to_boundary(e, err) || !apply_retry(apply, err) || !engine_apply(e, err))
            return false;
    }
    return true;
}

/*
 * All that are set aside, as often as that helps: a row may wait for another. Twice at least, behind a marker
 * each: a key that is only missing in the source is taken back the second time.
 */
static bool
retry_all_blocked(struct engine *e, struct error *err)
{
    int64_t before;
    int rounds = 0;

    do {
        if (!engine_sync(e, err))
            return false;
        before = engine_blocked(e);
        for (int i = 0; i < e->table_count; i++)
            if (!retry_blocked(e, e->tables[i].apply, err))
                return false;
    } while (engine_blocked(e) > 0 && (++rounds < 2 || engine_blocked(e) < before));
    return true;
}

bool
remap_enforce(struct engine *e, struct plan_set *made, struct error *err)
{
    struct plan_set *last = e->plans;
    bool ok = true;

    engine_kill_point("rollback-remapped");
    engine_set_plans(e, made);
    for (int i = 0; i < e->table_count; i++)
        e->tables[i].plan = e->tables[i].plans->back;
    attach_note_serving(e);
    for (int i = 0; i < e->table_count; i++)
        ok = apply_set_plan(e->tables[i].apply, e->tables[i].plan, err) && ok;
    plan_set_free(last); /* either way the applies no longer know it */
    e->remap_requested = false;
    e->options.plan.reverse_map_count = 0;
    if (ok)
        log_info("values go back as --reverse-map says from now on");
    for (int i = 0; ok && i < e->table_count; i++)
        ok = rewrite_dirty(e, e->tables[i].apply, err);
    return ok && retry_all_blocked(e, err);
}
