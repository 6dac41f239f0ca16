/* One step: whole transactions from the spool into a batch, and that onto the shadow. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "aside.h"
#include "core/clock.h"
#include "core/mem.h"

#define BATCH_CHANGES 10000           /* a batch ends at the first commit after so many changes … */
#define BATCH_BYTES (8 * 1024 * 1024) /* … or so many bytes */
#define BATCH_LIMIT 4 /* inside a transaction a batch is written out at this many times that */
#define UNSETTLED_MOST 4096
#define DEADLINE_RECORDS 256 /* how often the deadline is looked at */

/* The full id nearest to xid_near with these low 32 bits. The next one will not be far from it. */
static uint64_t
widen_xid(struct apply *a, uint32_t xid)
{
    a->xid_near = xid_widen(a->xid_near, xid);
    return a->xid_near;
}

/* The changes name rows by the plan's key, and by nothing else. */
static bool
has_plans_key(const struct apply *a, const struct message *m)
{
    const struct stream_columns *c = &a->flush.columns;

    if (m->relation.replica_identity == 'n' || m->relation.replica_identity == 'f')
        return false;
    for (int i = 0; i < c->count; i++) {
        bool key = false;

        for (int k = 0; k < a->plan->key_count; k++)
            key = key || c->key_positions[k] == i;
        if (m->relation.columns[i].key != key)
            return false;
    }
    return true;
}

/* Does what the stream says of the table fit the plan? */
static enum relation_state
judge_relation(const struct apply *a, const struct message *m)
{
    const struct stream_columns *c = &a->flush.columns;

    if (m->relation.column_count != c->count)
        return RELATION_OTHER_COLUMNS;
    for (int i = 0; i < c->count; i++) {
        const struct column *column = &a->plan->source->columns[c->source[i]];

        if (strcmp(column->name, m->relation.columns[i].name) != 0 ||
            (column->type_oid != m->relation.columns[i].type_oid &&
             column->base_type_oid != m->relation.columns[i].type_oid))
            return RELATION_OTHER_COLUMNS;
    }
    return has_plans_key(a, m) ? RELATION_FITS : RELATION_OTHER_IDENTITY;
}

/*
 * The definition of the table is the plan's, or the job ends: there is no guessing what a changed row would
 * mean. Judged when a row comes: the transaction of a swap, which is not applied, describes the table as it
 * was in its midst.
 */
static bool
check_relation(const struct apply *a, struct error *err)
{
    switch (a->relation) {
    case RELATION_FITS:
        return true;
    case RELATION_UNKNOWN:
        return error_set(err, ERROR_FAILED, "the spool has a change before the description of its table");
    case RELATION_OTHER_COLUMNS:
        error_set(err, ERROR_FAILED, "the definition of %s was changed while the job was running",
                  a->plan->source_sql);
        return error_detail(err, "Its columns are no longer those the plan was made for.");
    case RELATION_OTHER_IDENTITY:
        break;
    }
    return error_set(err, ERROR_FAILED, "the replica identity of %s was changed while the job was running",
                     a->plan->source_sql);
}

bool
step_begin(struct apply *a, struct error *err)
{
    if (a->external || a->transaction_open)
        return true;
    a->transaction_open = session_execute(a->session, err, "BEGIN");
    return a->transaction_open;
}

/* By the batch's earliest transaction: what holds for it holds for the later ones too. */
static enum flush_trust
trust(const struct apply *a)
{
    if (a->batch_lsn <= a->bounds.barrier || a->batch_lsn <= a->bounds.distrust)
        return TRUST_NEWER;
    return a->batch_lsn <= a->bounds.exact ? TRUST_PARTIAL : TRUST_EXACT;
}

bool
step_move_exact(struct apply *a, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(a->session, &res, err, "SELECT pg_catalog.pg_current_wal_insert_lsn()", 0);

    if (ok && result_lsn(&res, 0, 0) > a->bounds.exact)
        a->bounds.exact = result_lsn(&res, 0, 0);
    if (ok)
        a->flush.distrusted_until = result_lsn(&res, 0, 0);
    result_free(&res);
    return ok;
}

/*
 * The helpers commit before the place does. Until a place is written, a successor would take the shadow for
 * what the copy has left, so the first batch must not run ahead of it.
 */
static bool
crew_may(const struct apply *a)
{
    return a->crew != NULL && (a->saved > a->after || a->bounds.distrust > 0) &&
           crew_fits(&a->flush, &a->batch);
}

static bool
write_rows(struct apply *a, bool whole, struct error *err)
{
    if (a->set_aside)
        return aside_write(a, trust(a), err);
    flush_start(&a->flush, &a->batch, a->xids.xids, a->xids.count);
    if (whole && crew_may(a))
        return crew_write(a->crew, &a->flush, &a->batch, trust(a), err);
    return flush_batch(&a->flush, &a->batch, trust(a), err);
}

/* Write out what the batch holds, inside the session's transaction. */
static bool
write_batch(struct apply *a, bool ended, struct error *err)
{
    bool whole = ended && !a->transaction_open && !a->external; /* and committed right after it */

    if (!step_begin(a, err) || !write_rows(a, whole, err))
        return false;
    if (a->flush.filled && !step_move_exact(a, err))
        return false;
    dirty_record(&a->dirty, &a->batch);
    a->changes += a->batch.changes;
    batch_reset(&a->batch);
    return true;
}

/* Keep the list of unsettled transactions short. */
static bool
settle_some(struct apply *a, struct error *err)
{
    struct result res = {0};
    struct snapshot *now;
    bool ok;

    if (a->unsettled.count < UNSETTLED_MOST)
        return true;
    ok = session_row(a->session, &res, err, "SELECT pg_catalog.pg_current_snapshot()", 0);
    now = ok ? snapshot_parse(result_text(&res, 0, 0)) : NULL;
    if (now != NULL)
        xids_settle(&a->unsettled, now);
    snapshot_free(now);
    result_free(&res);
    return ok;
}

/* End the batch at the boundary of a transaction. */
static bool
finish_batch(struct apply *a, struct error *err)
{
    struct apply_place next = place_next(a);

    if ((a->batch.entry_count > 0 || a->batch.truncated) && !write_batch(a, true, err))
        return false;
    if ((a->transaction_open || a->external) && !flush_merge(&a->flush, err))
        return false;
    if (a->transaction_open && !place_write(a, next.lsn, err))
        return false;
    if (a->transaction_open) {
        if (!session_execute(a->session, err, "COMMIT"))
            return false;
        flush_transaction_ended(&a->flush);
    }
    a->transaction_open = false;
    a->xids.count = 0;
    a->transactions = 0;
    a->applied = a->done;
    if (a->external) {
        a->inside = next;
        return true;
    }
    a->place = next;
    flush_passed(&a->flush, a->place.lsn);
    return settle_some(a, err);
}

/*
 * Inside a transaction too large for one batch: its rows go by way of the overlay where other unique indexes
 * exist. Not where rows may be set aside: one that must wait for a value is just that, for a moment.
 */
static bool
spill(struct apply *a, struct error *err)
{
    if (a->batch.changes < (uint64_t)BATCH_CHANGES * BATCH_LIMIT &&
        a->batch.bytes < (size_t)BATCH_BYTES * BATCH_LIMIT)
        return true;
    if (!a->set_aside && !a->flush.overlay && a->batch_lsn > a->bounds.barrier &&
        plan_has_other_unique(a->plan) && (!step_begin(a, err) || !flush_overlay(&a->flush, err)))
        return false;
    return write_batch(a, false, err);
}

static void
hold_back(struct apply *a, struct spool_position begin, lsn_t commit)
{
    if (a->held.count == 0) {
        a->held_place = place_next(a);
        a->held_place.position = begin;
    }
    a->held.begins = mem_array(a->held.begins, (size_t)a->held.count + 1, sizeof(*a->held.begins));
    a->held.begins[a->held.count++] = begin;
    ahead_hold(&a->held.ahead, commit);
}

/*
 * Applied already (the spool may lose its end in a crash of this host, and the stream brings it again; or it
 * comes after one that the process before this one held back), or not to be applied at all.
 */
static bool
is_skipped(const struct apply *a, const struct message *m, uint64_t xid)
{
    return m->begin.final_lsn < a->after || ahead_has(&a->last, m->begin.final_lsn) ||
           (a->skip_xid != 0 && xid == a->skip_xid);
}

static void
take_begin(struct apply *a, const struct spool_record *record)
{
    uint64_t xid = widen_xid(a, record->message.begin.xid);

    a->in_source = true;
    a->marker_seen = 0;
    a->skipping = is_skipped(a, &record->message, xid);
    if (a->skipping)
        return;
    a->skipping = a->visible != NULL && !snapshot_sees(a->visible, xid);
    if (a->skipping) {
        hold_back(a, record->position, record->message.begin.final_lsn);
        return;
    }
    if (a->transactions++ == 0)
        a->batch_lsn = record->message.begin.final_lsn;
    a->xid = xid;
    a->touches = false;
}

/* The transaction at hand changes the table: its visibility matters. Those that do not are not waited for. */
static void
note_touch(struct apply *a)
{
    if (a->touches)
        return;
    a->touches = true;
    xids_add(&a->xids, a->xid);
    xids_add(&a->unsettled, a->xid);
}

static void
take_logical(struct apply *a, const struct message *m)
{
    char text[64];
    long long job, number;

    if (strcmp(m->logical.prefix, APPLY_MARKER_PREFIX) != 0 || m->logical.len >= sizeof(text))
        return;
    memcpy(text, m->logical.content, m->logical.len);
    text[m->logical.len] = '\0';
    if (sscanf(text, "%lld %lld", &job, &number) == 2 && job == a->owner.job_id)
        a->marker_seen = number;
}

static bool
truncates_source(const struct apply *a, const struct message *m)
{
    for (uint32_t i = 0; i < m->truncate.relation_count; i++) {
        if (message_truncate_relation(m, i) == a->plan->source->oid)
            return true;
    }
    return false;
}

/* A transaction has ended. Sets *ends_batch. */
static void
take_commit(struct apply *a, const struct message *m, bool *ends_batch)
{
    a->in_source = false;
    if (m->commit.end_lsn > a->done)
        a->done = m->commit.end_lsn;
    *ends_batch = a->transaction_open || a->flush.overlay || a->batch.changes >= BATCH_CHANGES ||
                  a->batch.bytes >= BATCH_BYTES || a->marker_seen != 0;
    a->skipping = false;
}

static bool
take_record(struct apply *a, const struct spool_record *record, bool *ends_batch, struct error *err)
{
    const struct message *m = &record->message;

    switch (m->kind) {
    case MESSAGE_BEGIN:
        take_begin(a, record);
        return true;
    case MESSAGE_COMMIT:
        take_commit(a, m, ends_batch);
        return true;
    case MESSAGE_RELATION:
        if (m->relation.oid == a->plan->source->oid)
            a->relation = judge_relation(a, m);
        return true;
    case MESSAGE_INSERT:
    case MESSAGE_UPDATE:
    case MESSAGE_DELETE:
        if (a->skipping || m->row.relation != a->plan->source->oid)
            return true;
        note_touch(a);
        return check_relation(a, err) && batch_add(&a->batch, m, err) && spill(a, err);
    case MESSAGE_TRUNCATE:
        if (!a->skipping && truncates_source(a, m)) {
            note_touch(a);
            batch_truncate(&a->batch);
        }
        return true;
    case MESSAGE_LOGICAL:
        /* a marker is seen also in a transaction that is held back: it is the place, not the effect */
        take_logical(a, m);
        return true;
    default:
        return true;
    }
}

/* The end of the spool. */
static enum apply_outcome
end_of_spool(struct apply *a, struct error *err)
{
    if (a->in_source)
        return APPLY_IDLE;
    if (a->transactions == 0) {
        place_idle(a);
        return APPLY_IDLE;
    }
    return finish_batch(a, err) ? APPLY_PROGRESS : APPLY_FAILED;
}

/* Read transactions into the batch until it is to be written. */
enum apply_outcome
step_read(struct apply *a, struct error *err)
{
    for (int n = 0;; n++) {
        struct spool_record record;
        bool ends_batch = false;

        if (a->deadline_ms != 0 && n % DEADLINE_RECORDS == 0 && clock_ms() > a->deadline_ms)
            return APPLY_LATE;
        switch (spool_read(a->reader, &record, err)) {
        case SPOOL_ERROR:
            return APPLY_FAILED;
        case SPOOL_EMPTY:
            return end_of_spool(a, err);
        case SPOOL_RECORD:
            if (!take_record(a, &record, &ends_batch, err))
                return APPLY_FAILED;
            break;
        }
        if (!ends_batch)
            continue;
        if (!finish_batch(a, err))
            return APPLY_FAILED;
        if (a->marker_seen == 0)
            return APPLY_PROGRESS;
        a->marker = a->marker_seen;
        a->marker_seen = 0;
        return APPLY_MARKER;
    }
}

bool
step_held(struct apply *a, struct error *err)
{
    struct spool_position here = spool_reader_position(a->reader);
    lsn_t done = a->done;

    a->release = false;
    for (int i = 0; i < a->held.count; i++) {
        struct spool_record record;
        bool ends = false;

        if (!spool_seek(a->reader, a->held.begins[i], err))
            return false;
        do {
            if (spool_read(a->reader, &record, err) != SPOOL_RECORD)
                return err->message != NULL ? false
                                            : error_set(err, ERROR_FAILED, "the spool ends in a transaction");
            if (!take_record(a, &record, &ends, err))
                return false;
        } while (record.message.kind != MESSAGE_COMMIT);
    }
    a->held.count = 0;
    ahead_free(&a->held.ahead);
    a->marker_seen = 0;
    a->done = done;
    return spool_seek(a->reader, here, err) && finish_batch(a, err);
}
