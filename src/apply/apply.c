#include "apply/apply.h"

#include <stdlib.h>

#include "core/mem.h"
#include "apply_workers.h"
#include "failing_entry.h"
#include "session.h"
#include "state/guard.h"
#include "step.h"

char *
apply_session_settings(int64_t job_id)
{
    char *guard = guard_session_settings(job_id);
    char *settings = mem_printf("%s; %s", APPLY_SESSION_SETTINGS, guard);

    free(guard);
    return settings;
}

struct session *
apply_session_open(const struct connection_options *connection, int64_t job_id, struct error *err)
{
    char *settings = apply_session_settings(job_id);
    struct session *s = session_open(connection, SESSION_EVALUATION, APPLY_SESSION_PURPOSE, err);

    if (s != NULL && !session_execute(s, err, settings)) {
        session_close(s);
        s = NULL;
    }
    free(settings);
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
    a->skip_xid = options->skip_xid;
    a->set_aside = options->set_aside;
    a->bounds = options->bounds;
    a->after = a->done = a->applied = a->saved = a->position.lsn = options->after;
    if (!flush_open(&a->flush, options->plan, a->owner.number, a->set_aside, a->session, err) ||
        !session_row(a->session, &res, err,
                     "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()) AS xid", 0))
        goto failed;
    a->xid_near = row_uint(&res, 0, "xid");
    result_free(&res);
    a->workers = apply_workers_open(options);
    batch_init(&a->batch, a->flush.columns.count, a->plan->key_count, a->flush.columns.key_positions);
    batch_leave_to_source(&a->batch, a->flush.columns.only_in_source);
    if (a->set_aside && !blocked_load(&a->blocked, a->session, a->owner, a->plan->key_count, err))
        goto failed;
    if (!beyond_load(&a->last, a->session, a->owner, err))
        goto failed;
    a->reader = spool_reader_open(options->spool, options->after, err);
    if (a->reader == NULL)
        goto failed;
    a->position.spool = spool_reader_position(a->reader);
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
    apply_workers_free(a->workers); /* they write by the plan with which they were made */
    a->workers = NULL;
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
    apply_workers_free(a->workers);
    flush_close(&a->flush);
    batch_free(&a->batch);
    snapshot_free(a->visible);
    dirty_clear(&a->dirty);
    blocked_free(&a->blocked);
    beyond_free(&a->last);
    beyond_free(&a->held.beyond);
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
apply_has_beyond(const struct apply *a)
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

    dirty_restore(&a->dirty); /* keys of a comparison that was not completed */
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
apply_clear(struct apply *a, struct error *err)
{
    return flush_clear(&a->flush, err);
}
