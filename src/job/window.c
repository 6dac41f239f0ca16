/*
 * The end of the rollback window. At its end the inactive table is dropped, but only by a program that ran
 * until then, because only while it ran a rollback could be requested. Otherwise (the program or its machine
 * stood still, or the server was away) the table stays until somebody allows to drop it.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/command.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/sqlstate.h"
#include "engine.h"
#include "window.h"

/* A longer time than this between two looks at the clocks means that the program did not run. */
#define ABSENT_MS 10000

/* The wall clock also counts the time in which the machine was suspended. */
static int64_t
wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool
has_window(const struct engine *e)
{
    return e->job.swaps > 0 && e->job.window_s >= 0;
}

void
window_ask(struct engine *e)
{
    e->window.seen_ms = clock_ms();
    e->window.seen_wall_ms = wall_ms();
}

void
window_begin(struct engine *e)
{
    struct engine_window *w = &e->window;
    int64_t left = (int64_t)(e->job.window_s * 1000);

    w->missed = false;
    w->ends_ms = has_window(e) ? w->seen_ms + left : INT64_MAX;
    w->ends_wall_ms = has_window(e) ? w->seen_wall_ms + left : INT64_MAX;
}

static void
note_missed(struct engine *e, const char *why)
{
    char *back = mem_printf(job_is_reversed(&e->job) ? COMMAND("rollback") : COMMAND("cutover"), e->job.name);

    e->window.missed = true;
    log_warning("the rollback window ended at %s, %s: the %s%s kept until somebody says otherwise. Go back "
                "with: %s; end with: " COMMAND("finish"),
                e->job.window_ends, why, job_is_reversed(&e->job) ? "original" : "new table",
                e->table_count > 1 ? "s are" : " is", back, e->job.name);
    free(back);
}

void
window_look(struct engine *e)
{
    struct engine_window *w = &e->window;
    int64_t now = clock_ms(), wall = wall_ms();
    bool absent = now - w->seen_ms > ABSENT_MS || wall - w->seen_wall_ms > ABSENT_MS;
    bool before = w->seen_ms < w->ends_ms && w->seen_wall_ms < w->ends_wall_ms;

    if (absent && before && !w->missed && (now >= w->ends_ms || wall >= w->ends_wall_ms))
        note_missed(e, WINDOW_STOOD_STILL);
    w->seen_ms = now;
    w->seen_wall_ms = wall;
}

void
window_check_passed(struct engine *e, const char *meanwhile)
{
    if (has_window(e) && e->job.window_s <= 0 && e->job.phase != PHASE_FINISHED)
        note_missed(e, meanwhile);
}

bool
window_is_over(struct engine *e)
{
    window_look(e);
    return !e->window.missed &&
           (e->window.seen_ms >= e->window.ends_ms || e->window.seen_wall_ms >= e->window.ends_wall_ms);
}

bool
window_check_resume(const struct engine *e, struct error *err)
{
    const char *name = e->job.name;

    if (!has_window(e) || e->job.window_s > 0 || e->job.phase == PHASE_FINISHED || e->rollback_only ||
        e->options.finish_now)
        return true;
    error_set(err, ERROR_REFUSED, "the rollback window of job \"%s\" ended at %s, while no program ran it",
              name, e->job.window_ends);
    error_detail(err, "To resume the job now would drop the %s%s.",
                 job_is_reversed(&e->job) ? "original" : "new table", e->job.table_count > 1 ? "s" : "");
    if (job_is_reversed(&e->job))
        error_hint(err,
                   "Go back with: " COMMAND("rollback") "; or drop the original%s with: " COMMAND(
                       "resume --finish-now"),
                   name, e->job.table_count > 1 ? "s" : "", name);
    else
        error_hint(err,
                   "Keep the new table%s with: " COMMAND(
                       "finish --keep-original") "; or drop %s with: " COMMAND("resume --finish-now"),
                   e->job.table_count > 1 ? "s" : "", name, e->job.table_count > 1 ? "them" : "it", name);
    memcpy(err->sqlstate, JOB_WINDOW_OVER, sizeof(err->sqlstate));
    return false;
}
