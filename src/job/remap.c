/* The maps that come with a rollback request change how values are converted back. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "attach.h"
#include "core/log.h"
#include "core/mem.h"
#include "engine.h"
#include "remap.h"
#include "requests.h"
#include "tables.h"

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

/* The maps in the request. */
static bool
plan_as_requested(struct engine *e, struct plan_set *set, struct error *err)
{
    struct string_list maps = {0};
    bool ok = request_maps_read(requests_arguments(e, REQUEST_ROLLBACK), &maps, err) &&
              plan_with(e, set, maps.count, (const char *const *)maps.items, err);

    list_free(&maps);
    return ok;
}

struct plan_set *
remap_plan(struct engine *e, struct error *err)
{
    char *text;
    struct plan_set *made;

    if (!engine_to_boundary(e, err)) /* the apply can change its plan only at a boundary */
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

/* Try all rows of one table that are set aside now, once. */
static bool
remap_retry_blocked(struct engine *e, struct apply *apply, struct error *err)
{
    int64_t until = apply_retried(apply) + apply_blocked(apply);

    while (apply_blocked(apply) > 0 && apply_retried(apply) < until) {
        if (!engine_to_boundary(e, err) || !apply_retry(apply, err) || !engine_apply(e, err))
            return false;
    }
    return true;
}

/*
 * Try all rows that are set aside, as long as some succeed, because a row may wait for another one. Try at
 * least twice, each time behind a marker: a key that is missing only in the source is removed at the second
 * try.
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
            if (!remap_retry_blocked(e, e->tables[i].apply, err))
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
    attach_note_active(e);
    for (int i = 0; i < e->table_count; i++)
        ok = apply_set_plan(e->tables[i].apply, e->tables[i].plan, err) && ok;
    plan_set_free(last); /* also after a failure the applies no longer use it */
    for (int i = 0; i < e->requests.open.count && e->requests.remapped != e->requests.open.items[i].id; i++)
        if (e->requests.open.items[i].kind == REQUEST_ROLLBACK) {
            e->requests.remapped = e->requests.open.items[i].id;
            break;
        }
    if (ok)
        log_info("values go back as --reverse-map says from now on");
    for (int i = 0; ok && i < e->table_count; i++)
        ok = rewrite_dirty(e, e->tables[i].apply, err);
    return ok && retry_all_blocked(e, err);
}
