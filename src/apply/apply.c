#include "apply/apply.h"

#include <stdlib.h>

#include "core/mem.h"
#include "state.h"

struct session *
apply_session_open(const struct connection_options *connection, struct error *err)
{
    struct session *s = session_open(connection, SESSION_SQL, "apply", err);

    /* The key index is the way to every row, whatever the planner believes of a table without statistics. */
    if (s != NULL &&
        !session_execute(
            s, err,
            "SET synchronous_commit = off; SET enable_seqscan = off; SET enable_hashjoin = off; "
            "SET enable_mergejoin = off; SET enable_material = off; SET client_min_messages = error")) {
        session_close(s);
        s = NULL;
    }
    return s;
}

struct apply *
apply_open(const struct apply_options *options, struct error *err)
{
    struct apply *a = mem_alloc(sizeof(*a));
    struct result res = {0};

    a->plan = options->plan;
    a->spool = options->spool;
    a->owner = options->owner;
    a->session = options->session;
    a->instance = options->instance != 0 ? options->instance : 1; /* the column's default */
    a->skip_xid = options->skip_xid;
    a->set_aside = options->set_aside;
    a->bounds = options->bounds;
    a->after = a->done = a->applied = a->saved = a->place.lsn = options->after;
    if (!flush_open(&a->flush, options->plan, a->owner.number, a->set_aside, a->session, err) ||
        !session_row(a->session, &res, err,
                     "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())", 0))
        goto failed;
    a->xid_near = strtoull(result_text(&res, 0, 0), NULL, 10);
    result_free(&res);
    a->crew = crew_open(options, a->instance);
    batch_init(&a->batch, a->flush.columns.count, a->plan->key_count, a->flush.columns.key_positions);
    if (a->set_aside && !blocked_load(&a->blocked, a->session, a->owner, a->plan->key_count, err))
        goto failed;
    if (!ahead_load(&a->last, a->session, a->owner, err))
        goto failed;
    a->reader = spool_reader_open(options->spool, options->after, err);
    if (a->reader == NULL)
        goto failed;
    a->place.position = spool_reader_position(a->reader);
    return a;
failed:
    result_free(&res);
    apply_close(a);
    return NULL;
}

bool
apply_set_plan(struct apply *a, const struct plan *plan, struct error *err)
{
    bool ok;

    a->plan = plan;
    crew_free(a->crew); /* it writes by the plan it was made with */
    a->crew = NULL;
    ok = flush_drop(&a->flush, err);
    flush_close(&a->flush);
    ok = ok && flush_open(&a->flush, plan, a->owner.number, a->set_aside, a->session, err);
    a->batch.key_positions = a->flush.columns.key_positions;
    return ok;
}

void
apply_close(struct apply *a)
{
    if (a == NULL)
        return;
    spool_reader_close(a->reader);
    crew_free(a->crew);
    flush_close(&a->flush);
    batch_free(&a->batch);
    snapshot_free(a->visible);
    dirty_clear(&a->dirty);
    blocked_free(&a->blocked);
    ahead_free(&a->last);
    ahead_free(&a->held.ahead);
    free(a->held.begins);
    free(a->xids.xids);
    free(a->unsettled.xids);
    free(a);
}

enum apply_outcome
apply_step(struct apply *a, struct error *err)
{
    enum apply_outcome outcome;

    if (a->release)
        outcome = step_held(a, err) ? APPLY_PROGRESS : APPLY_FAILED;
    else
        outcome = step_read(a, err);
    if (outcome == APPLY_FAILED && a->late) {
        a->late = false;
        error_clear(err);
        return APPLY_LATE;
    }
    if (outcome == APPLY_FAILED && !a->external) {
        session_rollback(a->session);
        if (!a->set_aside)
            flush_name_failing_row(&a->flush, &a->batch, err);
    }
    return outcome;
}

void
apply_wait(struct apply *a, int ms)
{
    spool_wait(a->spool, a->reader, ms);
}

int64_t
apply_marker(const struct apply *a)
{
    return a->marker;
}

bool
apply_is_ahead(const struct apply *a)
{
    return a->last.until > 0;
}

lsn_t
apply_lsn(const struct apply *a)
{
    return a->applied;
}

uint64_t
apply_changes(const struct apply *a)
{
    return a->changes;
}

enum apply_hold_outcome
apply_hold(struct apply *a, const char *snapshot, struct error *err)
{
    snapshot_free(a->visible);
    a->visible = snapshot_parse(snapshot);
    if (a->visible == NULL) {
        error_set(err, ERROR_FAILED, "the server's snapshot is not understood: %s", snapshot);
        return HOLD_FAILED;
    }
    a->xid_near = snapshot_xmax(a->visible);
    if (xids_settle(&a->unsettled, a->visible))
        return HOLD_DONE;
    snapshot_free(a->visible);
    a->visible = NULL;
    return HOLD_TOO_EARLY;
}

void
apply_release(struct apply *a)
{
    snapshot_free(a->visible);
    a->visible = NULL;
    a->release = a->held.count > 0;
}

void
apply_dirty_start(struct apply *a)
{
    dirty_start(&a->dirty);
}

int64_t
apply_dirty_count(const struct apply *a)
{
    return (int64_t)a->dirty.keys.count;
}

bool
apply_dirty_truncated(const struct apply *a)
{
    return a->dirty.truncated;
}

bool
apply_dirty_has(const struct apply *a, char *const *values)
{
    return dirty_has(&a->dirty, a->plan->key_count, values);
}

void
apply_dirty_add(struct apply *a, char *const *values)
{
    dirty_add(&a->dirty, a->plan->key_count, values);
}

bool
apply_dirty_load(struct apply *a, int64_t most, struct error *err)
{
    return dirty_load(&a->dirty, a->session, a->flush.temp.keys, a->plan->key_count, most, err);
}

bool
apply_dirty_unload(struct apply *a, struct error *err)
{
    return dirty_unload(&a->dirty, a->session, a->flush.temp.keys, err);
}

struct dirty *
apply_take_dirty(struct apply *a)
{
    struct dirty *dirty = mem_alloc(sizeof(*dirty));

    dirty_restore(&a->dirty); /* a comparison that did not come to an end */
    dirty_move(dirty, &a->dirty);
    return dirty;
}

void
apply_give_dirty(struct apply *a, struct dirty *dirty)
{
    if (dirty == NULL)
        return;
    dirty_move(&a->dirty, dirty);
    dirty_free(dirty);
}

void
dirty_free(struct dirty *dirty)
{
    if (dirty != NULL)
        dirty_clear(dirty);
    free(dirty);
}

void
apply_dirty_restore(struct apply *a)
{
    dirty_restore(&a->dirty);
}

void
apply_set_exact(struct apply *a, lsn_t exact)
{
    a->bounds.exact = exact;
}

const char *
apply_keys_table(const struct apply *a)
{
    return a->flush.temp.keys;
}

bool
apply_is_inside(const struct apply *a)
{
    return a->transaction_open;
}

bool
apply_at_boundary(const struct apply *a)
{
    return !a->transaction_open && !a->release && a->held.count == 0;
}

bool
apply_clear(struct apply *a, struct error *err)
{
    return flush_clear(&a->flush, err);
}

void
apply_enter(struct apply *a)
{
    a->external = true;
    a->inside = a->place;
    a->applied_before = a->applied;
    a->changes_before = a->changes;
    a->saved_before = a->saved;
}

void
apply_set_deadline(struct apply *a, int64_t clock_at_ms)
{
    a->deadline_ms = clock_at_ms;
}

bool
apply_leave(struct apply *a, bool committed, struct error *err)
{
    a->external = false;
    flush_transaction_ended(&a->flush);
    if (committed) {
        a->deadline_ms = 0;
        a->place = a->inside;
        return true;
    }
    batch_reset(&a->batch);
    a->xids.count = 0;
    a->transactions = 0;
    a->deadline_ms = 0;
    a->changes = a->changes_before;
    a->saved = a->saved_before;
    a->done = a->applied = a->applied_before;
    a->in_source = false;
    a->skipping = false;
    return spool_seek(a->reader, a->place.position, err) &&
           (!a->set_aside || blocked_load(&a->blocked, a->session, a->owner, a->plan->key_count, err));
}
