/*
 * Changes that others make while the job runs: compared every few seconds and under the lock of a swap.
 *
 * A changed publication ends the job, also where it was changed back: what was committed meanwhile may be
 * missing in the stream.
 */
#include "watch.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/table.h"
#include "core/buffer.h"
#include "core/command.h"
#include "core/log.h"
#include "core/mem.h"
#include "sql/sql.h"
#include "state/published.h"
#include "tables.h"

#define WATCH_MS 2000
/* the check takes at most one part in so many of the time, if nothing was changed */
#define WATCH_PART 50
/* … but the pause is never longer: a check can also be slow because the machine is busy for a moment */
#define WATCH_MOST_MS 20000

/* Set the error of a stream that has a gap. message: what was changed. */
static bool
refuse_gap(const struct engine *e, const char *message, struct error *err)
{
    error_set(err, ERROR_FAILED, "%s", message);
    error_detail(err, "Changes of the table%s that were made meanwhile may be missing in the stream.",
                 engine_plural(e));
    if (e->job.swaps == 0)
        return error_hint(
            err, "Nothing was swapped. Remove the job with: " COMMAND("abort") "; then start it again.",
            e->job.name);
    return error_hint(err, "%s%s; a swap is no longer possible. End the job with: " COMMAND("finish"),
                      job_is_reversed(&e->job) ? "The new table" : "The original",
                      e->table_count > 1 ? "s are active" : " is active", e->job.name);
}

static bool
note_gap(struct engine *e, const char *now, struct error *err)
{
    struct result res = {0};
    struct buffer text = {0};
    json_t *changes = NULL;
    char *json = NULL;
    bool ok =
        session_query(e->control, &res, err, sql_definition_difference, 3, e->job.published, now, "true");

    if (ok) {
        buffer_add_text(&text, "the job's publications were changed by somebody else: ");
        changes = watch_list_changes(&res);
        watch_name_changes(e, &text, &res);
        json = mem_checked(json_dumps(changes, JSON_COMPACT));
        ok = job_state_hold(e->control, &e->job, text.data, json, true, err);
    }
    if (ok)
        refuse_gap(e, text.data, err);
    free(json);
    json_decref(changes);
    buffer_free(&text);
    result_free(&res);
    return false;
}

bool
watch_published(struct engine *e, struct error *err)
{
    char *now;
    bool ok;

    if (e->job.held_for_good)
        return refuse_gap(e, e->job.held, err);
    if (e->job.published == NULL)
        return true;
    now = published_read(e->control, &e->job, err);
    ok = now != NULL && (strcmp(now, e->job.published) == 0 || note_gap(e, now, err));
    free(now);
    return ok;
}

bool
watch_now(struct engine *e, struct error *err)
{
    int64_t began = clock_ms(), took, pause;
    bool ok;

    e->watch_changed_ms = 0;
    ok =
        watch_slot(e, err) && watch_published(e, err) && (e->job.phase == PHASE_INIT || watch_tables(e, err));
    took = clock_ms() - began - e->watch_changed_ms;
    pause = WATCH_MS + (took > 0 ? took * WATCH_PART : 0);
    e->watch_at_ms = clock_ms() + (pause < WATCH_MOST_MS ? pause : WATCH_MOST_MS);
    return ok;
}

bool
watch_tick(struct engine *e, struct error *err)
{
    return clock_ms() < e->watch_at_ms || watch_now(e, err);
}

bool
watch_prepare(struct engine *e, struct error *err)
{
    return published_prepare(e->applying, err) && table_versions_prepare(e->applying, err);
}

void
watch_add(struct engine *e, struct pipeline *p)
{
    published_add(p, &e->job);
    watch_tables_add(e, p);
}

bool
watch_check(struct engine *e, const struct pipeline *p, int first, struct error *err)
{
    if (strcmp(published_of(pipeline_result(p, first)), e->job.published) != 0)
        return error_set(err, ERROR_FAILED, "the job's publications were changed by somebody else");
    return watch_tables_check(e, pipeline_result(p, first + 1), err);
}
