#include "step.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "blocked_rows.h"
#include "core/clock.h"
#include "core/mem.h"
#include "apply_workers.h"
#include "position.h"
#include "pg/redact.h"
#include "transaction.h"

#define BATCH_CHANGES 10000           /* a batch ends at the first commit after so many changes, … */
#define BATCH_BYTES (8 * 1024 * 1024) /* … or after so many bytes */
#define BATCH_LIMIT 4 /* inside a transaction the batch is written when it has this many times those limits */
#define UNSETTLED_MOST 4096
#define DEADLINE_RECORDS 256 /* number of records between two checks of the deadline */

/* The full transaction id nearest to xid_near with these low 32 bits. The next id will be near it too. */
static uint64_t
widen_xid(struct apply *a, uint32_t xid)
{
    a->xid_near = xid_widen(a->xid_near, xid);
    return a->xid_near;
}

/* Whether the changes identify rows by the plan's key, or by the whole row. */
static bool
has_plans_key(const struct apply *a, const struct message *m)
{
    const struct stream_columns *c = &a->flush.columns;

    if (m->relation.replica_identity == 'n')
        return false;
    if (m->relation.replica_identity == 'f') /* by all columns, including the key's */
        return a->plan->source->replica_identity == 'f';
    for (int i = 0; i < c->count; i++) {
        bool key = false;

        for (int k = 0; k < a->plan->key_count; k++)
            key = key || c->key_positions[k] == i;
        if (m->relation.columns[i].key != key)
            return false;
    }
    return true;
}

/* Whether what the stream says about the table fits the plan. */
static enum relation_state
judge_relation(const struct apply *a, const struct message *m)
{
    const struct stream_columns *c = &a->flush.columns;

    if (m->relation.column_count != c->count)
        return RELATION_OTHER_COLUMNS;
    for (int i = 0; i < c->count; i++) {
        const struct column *column = &a->plan->source->columns[c->source[i]];

        if (strcmp(c->names != NULL ? c->names[i] : column->name, m->relation.columns[i].name) != 0 ||
            (column->type_oid != m->relation.columns[i].type_oid &&
             column->base_type_oid != m->relation.columns[i].type_oid))
            return RELATION_OTHER_COLUMNS;
    }
    return has_plans_key(a, m) ? RELATION_FITS : RELATION_OTHER_IDENTITY;
}

/*
 * The definition of the table must be the plan's, otherwise the job ends: the meaning of a changed row must
 * not be guessed. Checked only when a row comes: the transaction of a swap, which is not applied, describes
 * the table as it is in the middle of the swap.
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
                  a->plan->names.source_sql);
        return error_detail(err, "Its columns are no longer those the plan was made for.");
    case RELATION_OTHER_IDENTITY:
        break;
    }
    return error_set(err, ERROR_FAILED, "the replica identity of %s was changed while the job was running",
                     a->plan->names.source_sql);
}

/*
 * Decided by the batch's earliest transaction: what can be trusted for it can be trusted for later ones too.
 */
static enum flush_trust
trust(const struct apply *a)
{
    if (a->batch_lsn <= a->bounds.barrier || a->batch_lsn <= a->bounds.distrust)
        return TRUST_NEWER;
    return a->batch_lsn <= a->bounds.exact ? TRUST_PARTIAL : TRUST_EXACT;
}

/*
 * The workers commit before the position is written. Until a position has been written, a successor would
 * assume that the shadow is as the copy has left it. So the first batch must not be written by workers.
 */
static bool
workers_may(const struct apply *a)
{
    return a->workers != NULL && (a->saved > a->after || a->bounds.distrust > 0) &&
           apply_workers_fits(&a->flush, &a->batch);
}

static bool
write_rows(struct apply *a, bool whole, struct error *err)
{
    if (a->set_aside) {
        bool ok = blocked_rows_write(a, trust(a), err);

        if (!ok)
            error_redact(err);
        return ok;
    }
    flush_start(&a->flush, &a->batch, a->xids.xids, a->xids.count);
    if (whole && workers_may(a))
        return apply_workers_write(a->workers, &a->flush, &a->batch, trust(a), err);
    return flush_batch(&a->flush, &a->batch, trust(a), err);
}

/* Write the batch, inside the session's transaction. */
static bool
write_batch(struct apply *a, bool ended, struct error *err)
{
    bool whole = ended && !a->transaction_open && !a->external; /* it is committed right after it */

    if (!transaction_begin(a, err) || !write_rows(a, whole, err))
        return false;
    if (a->flush.filled && !transaction_move_exact(a, err))
        return false;
    dirty_record(&a->dirty, &a->batch);
    a->changes += a->batch.changes;
    batch_reset(&a->batch);
    return true;
}

/* Shorten the list of unsettled transactions. */
static bool
settle_some(struct apply *a, struct error *err)
{
    struct result res = {0};
    struct snapshot *now;
    bool ok;

    if (a->unsettled.count < UNSETTLED_MOST)
        return true;
    ok = session_row(a->session, &res, err, "SELECT pg_catalog.pg_current_snapshot() AS snapshot", 0);
    now = ok ? snapshot_parse(row_text(&res, 0, "snapshot")) : NULL;
    if (now != NULL)
        xids_settle(&a->unsettled, now);
    snapshot_free(now);
    result_free(&res);
    return ok;
}

/* End the batch at the boundary of a source transaction. */
static bool
finish_batch(struct apply *a, struct error *err)
{
    struct apply_position next = position_next(a);

    if ((a->batch.entry_count > 0 || a->batch.truncated) && !write_batch(a, true, err))
        return false;
    if ((a->transaction_open || a->external) && !flush_merge(&a->flush, err))
        return false;
    if (!transaction_end(a, next.lsn, err))
        return false;
    a->xids.count = 0;
    a->transactions = 0;
    a->applied = a->done;
    if (a->external) {
        a->inside = next;
        return true;
    }
    a->position = next;
    flush_passed(&a->flush, a->position.lsn);
    return settle_some(a, err);
}

/*
 * Write a part of a transaction that is too large for one batch. Its rows go to the overlay where the shadow
 * has other unique indexes. Not where rows may be set aside: a row that has to wait for a value is then set
 * aside for a moment.
 */
static bool
spill(struct apply *a, struct error *err)
{
    if (a->batch.changes < (uint64_t)BATCH_CHANGES * BATCH_LIMIT &&
        a->batch.bytes < (size_t)BATCH_BYTES * BATCH_LIMIT)
        return true;
    if (!a->set_aside && !a->flush.overlay && a->batch_lsn > a->bounds.barrier &&
        plan_has_other_unique(a->plan) && (!transaction_begin(a, err) || !flush_overlay(&a->flush, err)))
        return false;
    return write_batch(a, false, err);
}

static void
hold_back(struct apply *a, struct spool_position begin, lsn_t commit)
{
    if (a->held.count == 0) {
        a->held_position = position_next(a);
        a->held_position.spool = begin;
    }
    a->held.begins = mem_array(a->held.begins, (size_t)a->held.count + 1, sizeof(*a->held.begins));
    a->held.begins[a->held.count++] = begin;
    beyond_hold(&a->held.beyond, commit);
}

/*
 * The transaction is applied already, or must not be applied at all. It may be applied already because this
 * host lost the end of the spool in a crash and the stream sends it again, or because it follows one that the
 * previous process had held back.
 */
static bool
is_skipped(const struct apply *a, const struct message *m, uint64_t xid)
{
    return m->begin.final_lsn < a->after || beyond_has(&a->last, m->begin.final_lsn) ||
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

/*
 * The current transaction changes the table, so it must become visible before the source is read.
 * Transactions that do not change the table are not waited for.
 */
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

/* The end of a transaction. Sets *ends_batch. */
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
        /*
         * a marker in a transaction that is held back counts too: it marks a position and has no effect on
         * rows
         */
        take_logical(a, m);
        return true;
    default:
        return true;
    }
}

/* The end of the spool is reached. */
static enum apply_outcome
end_of_spool(struct apply *a, struct error *err)
{
    if (a->in_source)
        return APPLY_IDLE;
    if (a->transactions == 0) {
        position_idle(a);
        return APPLY_IDLE;
    }
    return finish_batch(a, err) ? APPLY_PROGRESS : APPLY_FAILED;
}

/* Read transactions into the batch until it has to be written. */
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
    beyond_free(&a->held.beyond);
    a->marker_seen = 0;
    a->done = done;
    return spool_seek(a->reader, here, err) && finish_batch(a, err);
}
