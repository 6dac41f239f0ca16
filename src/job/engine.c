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
#include "inactive.h"
#include "requests.h"
#include "sql/sql.h"
#include "state/ledger.h"
#include "tables.h"
#include "waits.h"
#include "watch.h"
#include "window.h"

#define TICK_MS 500
#define IDLE_WAIT_MS 20
#define DRAIN_WAIT_MS 5
#define UNAPPLIED_MOST                                                                                       \
    (UINT64_C(64) * 1024 * 1024) /* bytes of log that stay in the slot until their changes are applied */

/* The position up to which the changes of all tables are applied. */
static lsn_t
applied(const struct engine *e)
{
    lsn_t least = apply_lsn(e->tables[0].apply);

    for (int i = 1; i < e->table_count; i++)
        if (apply_lsn(e->tables[i].apply) < least)
            least = apply_lsn(e->tables[i].apply);
    return least;
}

/* The bytes of log between the end of the server's log and the position. */
static int64_t
lag_bytes(const struct engine *e)
{
    lsn_t done = engine_applies(e) ? applied(e) : 0;
    lsn_t received = e->stream != NULL ? stream_received(e->stream) : 0;
    lsn_t reached = engine_applies(e) && e->caught_up_at_ms > 0 && received > done &&
                            clock_ms() - e->caught_up_at_ms < TICK_MS
                        ? received
                        : done;

    return reached == 0 ? -1 : e->server_lsn > reached ? (int64_t)(e->server_lsn - reached) : 0;
}

static double
lag_seconds(const struct engine *e)
{
    return !engine_applies(e) || e->caught_up_at_ms == 0 ? -1
                                                         : (double)(clock_ms() - e->caught_up_at_ms) / 1000;
}

/*
 * The position is durable on the server: the progress was written after it, and the commit of the progress
 * has waited for the disk. So the part of the spool before the position is not needed any more. What follows
 * the position stays in the slot as long as it is little, so that another host can continue without the spool
 * of this one.
 */
static bool
pass_position(struct engine *e, struct apply_position position, struct error *err)
{
    lsn_t received = stream_received(e->stream);

    if (!e->confirm_held)
        stream_limit(e->stream, received > position.lsn + UNAPPLIED_MOST ? UINT64_MAX : position.lsn);
    return spool_trim(e->spool, position.spool, err);
}

static bool
before(struct spool_position a, struct spool_position b)
{
    return a.segment < b.segment || (a.segment == b.segment && a.offset < b.offset);
}

/*
 * Write the position of each table whose row is behind. *least: what lies before it is needed for no table.
 */
static bool
save_positions(struct engine *e, struct apply_position *least, struct error *err)
{
    for (int i = 0; i < e->table_count; i++) {
        struct apply_position position = apply_position(e->tables[i].apply);

        if (i == 0 || position.lsn < least->lsn)
            least->lsn = position.lsn;
        if (i == 0 || before(position.spool, least->spool))
            least->spool = position.spool;
        if (!apply_save(e->tables[i].apply, err))
            return false;
    }
    return true;
}

/*
 * What is copied of all tables together. A table whose copy has not begun counts with the size that it had
 * when the job began.
 */
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

/* The figures of the job, as `status` shows them. */
static struct state_progress
figures(const struct engine *e)
{
    struct copied copied = sum_copied(e);

    return (struct state_progress){
        .copied = copied.begun,
        .rows_copied = copied.rows,
        .rows_estimated = copied.estimated,
        .bytes_copied = copied.bytes,
        .bytes_total = copied.total_bytes,
        .changes_spooled = e->spool != NULL ? (int64_t)spool_changes(e->spool) : 0,
        .changes_applied = engine_applies(e) ? (int64_t)engine_changes(e) : 0,
        .spool_bytes = e->spool != NULL ? (int64_t)spool_bytes(e->spool) : 0,
        .lag_bytes = lag_bytes(e),
        .lag_seconds = lag_seconds(e),
        .eta_seconds = e->progress.eta_seconds,
    };
}

/* Write the progress, and read the requests. */
static bool
exchange(struct engine *e, struct error *err)
{
    bool placed = engine_applies(e) && engine_at_boundary(e); /* otherwise the position may not be saved */
    struct apply_position position = {0};
    struct state_progress now = figures(e);

    if (placed && !save_positions(e, &position, err))
        return false;
    if (!state_progress_write(e->control, &e->job, &now, &e->server_lsn, err))
        return error_context(err, "writing the progress of the job");
    if (!requests_read(e, err))
        return false;
    e->tick_at_ms = clock_ms();
    return !placed || pass_position(e, position, err);
}

bool
engine_tick(struct engine *e, struct error *err)
{
    window_look(e);
    if (stop_requested()) {
        error_set(err, ERROR_FAILED, "stopped on request");
        err->stopped = true;
        return false;
    }
    if (requests_any(e, REQUEST_ABORT))
        return error_set(err, ERROR_FAILED, "aborted on request");
    if (e->stream != NULL && stream_failed(e->stream, err))
        return false;
    return (clock_ms() - e->tick_at_ms < TICK_MS || exchange(e, err)) && waits_tick(e, err) &&
           watch_tick(e, err) && inactive_tick(e, err);
}

void
engine_kill_point(const char *name)
{
    const char *point = getenv("PGRECAST_TEST_KILL");

    if (point != NULL && strcmp(point, name) == 0)
        kill(getpid(), SIGKILL);
    point = getenv("PGRECAST_TEST_PAUSE");
    if (point != NULL && strcmp(point, name) == 0) {
        unsetenv("PGRECAST_TEST_PAUSE"); /* the pause is made once */
        kill(getpid(), SIGSTOP);
    }
}

bool
engine_wait(struct engine *e, int ms, struct error *err)
{
    clock_sleep(ms);
    return engine_tick(e, err);
}

/* A test can name a phase at whose entry the job waits until it is released. */
static bool
hold_for_test(struct engine *e, enum job_phase phase, struct error *err)
{
    const char *hold = getenv("PGRECAST_TEST_HOLD");

    if (hold == NULL || strcmp(hold, job_phase_name(phase)) != 0 || e->requests.held)
        return true;
    e->requests.held = true;
    log_info("held at phase %s until a request of kind release", hold);
    while (!e->requests.released) {
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
check_definition(struct engine *e, int table, const char *own, struct error *err)
{
    const struct plan *plan = e->tables[table].plan;
    struct table_definition now;
    bool ok = table_definition_read(e->control, plan->source->oid, own, &now, err);

    if (ok && !table_fingerprint_same(now.fingerprint, e->job.tables[table].fingerprint, true))
        ok = error_set(err, ERROR_FAILED, "the definition of %s was changed while the job was running",
                       plan->names.source_sql);
    table_definition_clear(&now);
    return ok;
}

bool
engine_read_definition(struct engine *e, uint32_t oid, struct table_definition *out, struct error *err)
{
    char *own = ledger_own(e->control, &e->job, err);
    bool ok = own != NULL && table_definition_read(e->control, oid, own, out, err);

    free(own);
    return ok;
}

bool
engine_check_definition(struct engine *e, struct error *err)
{
    char *own = ledger_own(e->control, &e->job, err);
    bool ok = own != NULL;

    for (int i = 0; ok && i < e->table_count; i++)
        ok = check_definition(e, i, own, err);
    free(own);
    return ok;
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

/*
 * Show the changes that are applied, in the phases whose main work that is. Other phases show their own
 * progress.
 */
static void
show_apply(struct engine *e)
{
    uint64_t changes = engine_changes(e);
    char lag[40];

    snprintf(lag, sizeof(lag), "lag %" PRId64 " kB", (lag_bytes(e) + 999) / 1000);
    if (e->job.phase == PHASE_CATCHUP)
        progress_show(&e->progress, (int64_t)changes, (int64_t)spool_changes(e->spool), (int64_t)changes,
                      "changes applied", lag);
    else if (e->job.phase == PHASE_READY || e->job.swaps > 0)
        progress_show(&e->progress, 0, 0, (int64_t)changes, "changes applied", lag); /* without an end */
}

/*
 * The table whose apply has a transaction open on the shared session, or NULL. Until its end no other apply
 * may use the session.
 */
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
    TURN_BEHIND,  /* the tables that have not passed the last marker */
    TURN_BETWEEN, /* the tables that are not at a boundary */
};

static bool
has_turn(const struct engine *e, const struct engine_table *t, enum turn turn)
{
    return turn == TURN_ALL || (turn == TURN_BEHIND && apply_marker(t->apply) < e->marker) ||
           (turn == TURN_BETWEEN && !apply_at_boundary(t->apply));
}

/*
 * One step of each table whose turn it is. Returns the outcome that says most; APPLY_IDLE only where no table
 * had anything to do.
 */
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

/* Wait until the spool has more for one of the tables that wait for it. */
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
    case APPLY_LATE: /* occurs only with a deadline */
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
