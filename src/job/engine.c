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
#define DRAIN_WAIT_MS 5
#define UNAPPLIED_MOST                                                                                       \
    (UINT64_C(64) * 1024 * 1024) /* bytes of log that the slot keeps until they are applied */

/* Up to here all tables' changes are applied. */
static lsn_t
applied(const struct engine *e)
{
    lsn_t least = apply_lsn(e->tables[0].apply);

    for (int i = 1; i < e->table_count; i++)
        if (apply_lsn(e->tables[i].apply) < least)
            least = apply_lsn(e->tables[i].apply);
    return least;
}

/* The bytes of log between the server's end and what is applied. */
static int64_t
lag_bytes(const struct engine *e)
{
    lsn_t done = engine_applies(e) ? applied(e) : 0;
    lsn_t received = e->stream != NULL ? stream_received(e->stream) : 0;
    lsn_t reached = engine_applies(e) && e->caught_up_at_ms > 0 && received > done &&
                            clock_ms() - e->caught_up_at_ms < TICK_MS
                        ? received
                        : done;

    return reached > 0 && e->server_lsn > reached ? (int64_t)(e->server_lsn - reached) : 0;
}

static double
lag_seconds(const struct engine *e)
{
    return !engine_applies(e) || e->caught_up_at_ms == 0 ? 0
                                                         : (double)(clock_ms() - e->caught_up_at_ms) / 1000;
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
before(struct spool_position a, struct spool_position b)
{
    return a.segment < b.segment || (a.segment == b.segment && a.offset < b.offset);
}

/* Written where it is behind. *least: before it nothing is needed for any table. */
static bool
save_places(struct engine *e, struct apply_place *least, struct error *err)
{
    for (int i = 0; i < e->table_count; i++) {
        struct apply_place place = apply_place(e->tables[i].apply);

        if (i == 0 || place.lsn < least->lsn)
            least->lsn = place.lsn;
        if (i == 0 || before(place.position, least->position))
            least->position = place.position;
        if (!apply_save(e->tables[i].apply, err))
            return false;
    }
    return true;
}

/* What is copied, all told. Of a table that is still to come its size when the job began. */
struct copied {
    int64_t rows, estimated, bytes, total_bytes;
    bool begun; /* by this instance */
};

static struct copied
sum_copied(const struct engine *e)
{
    struct copied sum = {0};

    for (int i = 0; i < e->table_count; i++) {
        const struct copy_progress *p = &e->tables[i].copied;
        const struct table *source = e->tables[i].plans->forward->source;
        int64_t total = atomic_load(&p->total_blocks) * p->block_size;

        sum.begun = sum.begun || total > 0;
        sum.rows += atomic_load(&p->rows);
        sum.bytes += atomic_load(&p->blocks) * p->block_size;
        sum.total_bytes += p->block_size > 0 ? total : source->heap_bytes;
        sum.estimated =
            sum.estimated < 0 || source->estimated_rows < 0 ? -1 : sum.estimated + source->estimated_rows;
    }
    return sum;
}

void
engine_show_copy(struct engine *e)
{
    struct copied sum = sum_copied(e);

    progress_show(&e->progress, sum.bytes, sum.total_bytes, sum.rows, "rows", NULL);
}

static bool
exchange(struct engine *e, struct error *err)
{
    bool placed = engine_applies(e) && engine_at_boundary(e); /* else the place may not be saved */
    struct apply_place place = {0};
    struct copied copied = sum_copied(e);
    char text[11][32];
    const char *params[11];
    struct result res = {0};
    int64_t numbers[] = {
        e->job.id,
        copied.rows,
        copied.estimated,
        copied.bytes,
        copied.total_bytes,
        e->spool != NULL ? (int64_t)spool_changes(e->spool) : 0,
        engine_applies(e) ? (int64_t)engine_changes(e) : 0,
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
    if (!copied.begun) /* this instance has copied nothing: what is there stays */
        params[1] = params[3] = params[4] = NULL;
    if (placed && !save_places(e, &place, err))
        return false;
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

static bool
check_definition(struct engine *e, const struct plan *plan, struct error *err)
{
    char *now = table_fingerprint(e->control, plan->source->oid, err);
    bool same =
        now != NULL && table_fingerprint_same(now, plan->source->fingerprint, !job_is_turned(&e->job));

    if (now != NULL && !same)
        error_set(err, ERROR_FAILED, "the definition of %s was changed while the job was running",
                  plan->source_sql);
    free(now);
    return same;
}

bool
engine_check_definition(struct engine *e, struct error *err)
{
    for (int i = 0; i < e->table_count; i++)
        if (!check_definition(e, e->tables[i].plan, err))
            return false;
    return true;
}

bool
engine_send_marker(struct engine *e, struct error *err)
{
    char content[64];

    snprintf(content, sizeof(content), "%" PRId64 " %" PRId64, e->job.id, e->marker + 1);
    e->marker_sent = session_send(e->control, err, "SELECT pg_catalog.pg_logical_emit_message(true, $1, $2)",
                                  2, APPLY_MARKER_PREFIX, content);
    return e->marker_sent || error_context(err, "writing a marker into the log");
}

bool
engine_await_marker(struct engine *e, struct error *err)
{
    if (!e->marker_sent)
        return true;
    e->marker_sent = false;
    if (!session_receive(e->control, NULL, err))
        return error_context(err, "writing a marker into the log");
    e->marker++;
    return true;
}

bool
engine_write_marker(struct engine *e, struct error *err)
{
    return engine_send_marker(e, err) && engine_await_marker(e, err);
}

/* While applying is what the job does; in other phases it goes on beside what they show. */
static void
show_apply(struct engine *e)
{
    uint64_t changes = engine_changes(e);

    if (e->job.phase == PHASE_CATCHUP || e->job.phase == PHASE_READY || e->job.leg > 0)
        progress_show(&e->progress, (int64_t)changes, (int64_t)spool_changes(e->spool), (int64_t)changes,
                      "changes applied", NULL);
}

/* The one that has a transaction open on the session, or NULL: no other may use it then. */
static struct engine_table *
find_inside(struct engine *e)
{
    for (int i = 0; i < e->table_count; i++)
        if (apply_is_inside(e->tables[i].apply))
            return &e->tables[i];
    return NULL;
}

/* Which tables are to take a step. */
enum turn {
    TURN_ALL,
    TURN_BEHIND,  /* those that have not passed the last marker */
    TURN_BETWEEN, /* those that are not at a boundary */
};

static bool
has_turn(const struct engine *e, const struct engine_table *t, enum turn turn)
{
    return turn == TURN_ALL || (turn == TURN_BEHIND && apply_marker(t->apply) < e->marker) ||
           (turn == TURN_BETWEEN && !apply_at_boundary(t->apply));
}

/* One step of each whose turn it is. The best news of all: APPLY_IDLE where none had anything to do. */
static enum apply_outcome
step_all(struct engine *e, enum turn turn, struct error *err)
{
    enum apply_outcome outcome = APPLY_IDLE;

    for (int i = 0; i < e->table_count; i++) {
        struct engine_table *t = &e->tables[i], *inside = find_inside(e);

        if ((inside != NULL && inside != t) || !has_turn(e, t, turn))
            continue;
        switch (apply_step(t->apply, err)) {
        case APPLY_FAILED:
            engine_name_table(e, t, err);
            return APPLY_FAILED;
        case APPLY_LATE:
            return APPLY_LATE;
        case APPLY_MARKER:
            outcome = APPLY_MARKER;
            break;
        case APPLY_PROGRESS:
            outcome = outcome == APPLY_IDLE ? APPLY_PROGRESS : outcome;
            break;
        case APPLY_IDLE:
            break;
        }
    }
    return outcome;
}

/* Until there is more in the spool for one that waits for it. */
static void
wait_more(struct engine *e, enum turn turn, int ms)
{
    struct engine_table *inside = find_inside(e);

    for (int i = 0; i < e->table_count; i++) {
        struct engine_table *t = inside != NULL ? inside : &e->tables[i];

        if (!has_turn(e, t, turn))
            continue;
        apply_wait(t->apply, ms);
        return;
    }
}

static bool
apply_some(struct engine *e, enum turn turn, struct error *err)
{
    switch (step_all(e, turn, err)) {
    case APPLY_FAILED:
        return false;
    case APPLY_MARKER:
        e->caught_up_at_ms = clock_ms();
        break;
    case APPLY_IDLE:
        e->caught_up_at_ms = clock_ms();
        wait_more(e, turn, IDLE_WAIT_MS);
        break;
    case APPLY_PROGRESS:
    case APPLY_LATE: /* only with a deadline */
        break;
    }
    show_apply(e);
    return engine_tick(e, err);
}

bool
engine_apply(struct engine *e, struct error *err)
{
    return apply_some(e, TURN_ALL, err);
}

bool
engine_passed_marker(const struct engine *e)
{
    for (int i = 0; i < e->table_count; i++)
        if (apply_marker(e->tables[i].apply) < e->marker)
            return false;
    return true;
}

bool
engine_apply_to_marker(struct engine *e, struct error *err)
{
    while (!engine_passed_marker(e)) {
        if (!apply_some(e, TURN_BEHIND, err))
            return false;
    }
    return true;
}

enum apply_outcome
engine_drain(struct engine *e, struct error *err)
{
    enum apply_outcome outcome = step_all(e, TURN_BEHIND, err);

    if (outcome == APPLY_IDLE)
        wait_more(e, TURN_BEHIND, DRAIN_WAIT_MS);
    return outcome;
}

bool
engine_sync(struct engine *e, struct error *err)
{
    return engine_write_marker(e, err) && engine_apply_to_marker(e, err);
}

bool
engine_to_boundary(struct engine *e, struct error *err)
{
    while (!engine_at_boundary(e)) {
        if (!apply_some(e, TURN_BETWEEN, err))
            return false;
    }
    return true;
}
