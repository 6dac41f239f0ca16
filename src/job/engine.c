#include "engine.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/stop.h"
#include "sql/sql.h"

#define TICK_MS 500
#define IDLE_WAIT_MS 20
#define UNAPPLIED_MOST                                                                                       \
    (UINT64_C(64) * 1024 * 1024) /* bytes of log that the slot keeps until they are applied */

/* The bytes of log between the server's end and what is applied. */
static int64_t
lag_bytes(const struct engine *e)
{
    lsn_t applied = e->apply != NULL ? apply_lsn(e->apply) : 0;
    lsn_t received = e->stream != NULL ? stream_received(e->stream) : 0;
    lsn_t reached = e->apply != NULL && e->caught_up_at_ms > 0 && received > applied &&
                            clock_ms() - e->caught_up_at_ms < TICK_MS
                        ? received
                        : applied;

    return reached > 0 && e->server_lsn > reached ? (int64_t)(e->server_lsn - reached) : 0;
}

static double
lag_seconds(const struct engine *e)
{
    return e->apply == NULL || e->caught_up_at_ms == 0 ? 0 : (double)(clock_ms() - e->caught_up_at_ms) / 1000;
}

static void
take_requests(struct engine *e, const struct result *r)
{
    const char *finish = result_text(r, 0, 6);

    e->cutover_requested = result_bool(r, 0, 0);
    e->verify_requested = (int)result_int(r, 0, 1);
    e->released = result_bool(r, 0, 2);
    e->server_lsn = result_lsn(r, 0, 3);
    e->rollback_requested = result_bool(r, 0, 4) || e->rollback_only;
    e->abort_requested = result_bool(r, 0, 5);
    e->remap_requested = result_bool(r, 0, 8) || (e->rollback_only && e->options.plan.reverse_map_count > 0);
    e->finish_requested = finish == NULL                ? FINISH_NOT
                          : strcmp(finish, "keep") == 0 ? FINISH_KEEP
                                                        : FINISH_DROP;
    if (result_int(r, 0, 7) > e->verify_answered) /* by an instance before this one */
        e->verify_answered = (int)result_int(r, 0, 7);
}

/*
 * The place is durable on the server by now: the progress was written after it, and its commit has waited for
 * the disk. What lies before is needed nowhere. What lies behind stays in the slot, as long as that is
 * little: then another host can go on without this one's spool.
 */
static bool
pass_place(struct engine *e, struct apply_place place, struct error *err)
{
    lsn_t received = stream_received(e->stream);

    if (!e->confirm_held)
        stream_limit(e->stream, received > place.lsn + UNAPPLIED_MOST ? UINT64_MAX : place.lsn);
    return spool_trim(e->spool, place.position, err);
}

static bool
exchange(struct engine *e, struct error *err)
{
    bool placed = e->apply != NULL && apply_at_boundary(e->apply); /* else the place may not be saved */
    struct apply_place place = {0};
    int64_t block_size = e->copied.block_size;
    char text[11][32];
    const char *params[11];
    struct result res = {0};
    int64_t numbers[] = {
        e->job.id,
        atomic_load(&e->copied.rows),
        e->plans->forward->source->estimated_rows,
        atomic_load(&e->copied.blocks) * block_size,
        atomic_load(&e->copied.total_blocks) * block_size,
        e->spool != NULL ? (int64_t)spool_changes(e->spool) : 0,
        e->apply != NULL ? (int64_t)apply_changes(e->apply) : 0,
        e->spool != NULL ? (int64_t)spool_bytes(e->spool) : 0,
        lag_bytes(e),
    };

    for (int i = 0; i < 9; i++)
        snprintf(text[i], sizeof(text[i]), "%" PRId64, numbers[i]);
    snprintf(text[9], sizeof(text[9]), "%.3f", lag_seconds(e));
    snprintf(text[10], sizeof(text[10]), "%.1f", e->progress.eta_seconds);
    for (int i = 0; i < 11; i++)
        params[i] = text[i];
    if (e->progress.eta_seconds < 0)
        params[10] = NULL;
    if (numbers[4] == 0) /* this instance has copied nothing: what is there stays */
        params[1] = params[3] = params[4] = NULL;
    if (placed) {
        place = apply_place(e->apply);
        if (!apply_save(e->apply, err))
            return false;
    }
    if (!session_query_params(e->control, &res, err, sql_job_progress, 11, params))
        return error_context(err, "writing the progress of the job");
    if (result_rows(&res) == 1)
        take_requests(e, &res);
    result_free(&res);
    e->tick_at_ms = clock_ms();
    return !placed || pass_place(e, place, err);
}

bool
engine_tick(struct engine *e, struct error *err)
{
    if (stop_requested()) {
        error_set(err, ERROR_FAILED, "stopped on request");
        err->stopped = true;
        return false;
    }
    if (e->abort_requested)
        return error_set(err, ERROR_FAILED, "aborted on request");
    if (e->stream != NULL && stream_failed(e->stream, err))
        return false;
    return clock_ms() - e->tick_at_ms < TICK_MS || exchange(e, err);
}

void
engine_kill_point(const char *name)
{
    const char *point = getenv("PGRECAST_TEST_KILL");

    if (point != NULL && strcmp(point, name) == 0)
        kill(getpid(), SIGKILL);
}

bool
engine_wait(struct engine *e, int ms, struct error *err)
{
    clock_sleep(ms);
    return engine_tick(e, err);
}

/* A test names a phase at whose entry the job waits until its row says otherwise. */
static bool
hold_for_test(struct engine *e, enum job_phase phase, struct error *err)
{
    const char *hold = getenv("PGRECAST_TEST_HOLD");

    if (hold == NULL || strcmp(hold, job_phase_name(phase)) != 0 || e->held)
        return true;
    e->held = true;
    log_info("held at phase %s until pgrecast.job.released is set", hold);
    while (!e->released) {
        if (!engine_wait(e, 20, err))
            return false;
    }
    return true;
}

bool
engine_phase(struct engine *e, enum job_phase phase, struct error *err)
{
    if (!job_state_set_phase(e->control, &e->job, phase, err) || !exchange(e, err))
        return false;
    progress_phase(&e->progress, job_phase_name(phase));
    return hold_for_test(e, phase, err);
}

double
engine_phase_seconds(const struct engine *e)
{
    return (double)(clock_ms() - e->progress.began_ms + 1) / 1000;
}

char *
engine_phase_time(const struct engine *e, char out[32])
{
    return clock_format_duration(engine_phase_seconds(e), out);
}

bool
engine_check_definition(struct engine *e, struct error *err)
{
    char *now;
    bool same;

    now = table_fingerprint(e->control, e->plan->source->oid, err);
    same = now != NULL && table_fingerprint_same(now, e->plan->source->fingerprint, !job_is_turned(&e->job));
    if (now != NULL && !same)
        error_set(err, ERROR_FAILED, "the definition of %s was changed while the job was running",
                  e->plan->source_sql);
    free(now);
    return same;
}

bool
engine_write_marker(struct engine *e, struct error *err)
{
    char content[64];

    snprintf(content, sizeof(content), "%" PRId64 " %" PRId64, e->job.id, e->marker + 1);
    if (!session_query(e->control, NULL, err, "SELECT pg_catalog.pg_logical_emit_message(true, $1, $2)", 2,
                       APPLY_MARKER_PREFIX, content))
        return error_context(err, "writing a marker into the log");
    e->marker++;
    return true;
}

/* While applying is what the job does; in other phases it goes on beside what they show. */
static void
show_apply(struct engine *e)
{
    uint64_t applied = apply_changes(e->apply);

    if (e->job.phase == PHASE_CATCHUP || e->job.phase == PHASE_READY || e->job.leg > 0)
        progress_show(&e->progress, (int64_t)applied, (int64_t)spool_changes(e->spool), (int64_t)applied,
                      "changes applied", NULL);
}

/* One step; *reached tells whether a marker ended it. */
static bool
step(struct engine *e, bool *reached, struct error *err)
{
    *reached = false;
    switch (apply_step(e->apply, err)) {
    case APPLY_FAILED:
        return false;
    case APPLY_MARKER:
        *reached = true;
        e->caught_up_at_ms = clock_ms();
        break;
    case APPLY_IDLE:
        e->caught_up_at_ms = clock_ms();
        apply_wait(e->apply, IDLE_WAIT_MS);
        break;
    case APPLY_PROGRESS:
    case APPLY_LATE: /* only with a deadline */
        break;
    }
    show_apply(e);
    return true;
}

bool
engine_apply(struct engine *e, struct error *err)
{
    bool reached;

    return step(e, &reached, err) && engine_tick(e, err);
}

bool
engine_apply_to_marker(struct engine *e, struct error *err)
{
    while (apply_marker(e->apply) < e->marker) {
        if (!engine_apply(e, err))
            return false;
    }
    return true;
}

bool
engine_sync(struct engine *e, struct error *err)
{
    return engine_write_marker(e, err) && engine_apply_to_marker(e, err);
}

bool
engine_to_boundary(struct engine *e, struct error *err)
{
    while (!apply_at_boundary(e->apply)) {
        if (!engine_apply(e, err))
            return false;
    }
    return true;
}
