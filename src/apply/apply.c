#include "apply/apply.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "dirty.h"
#include "flush.h"
#include "snapshot.h"
#include "xids.h"

#define BATCH_CHANGES 10000           /* a batch ends at the first commit after so many changes … */
#define BATCH_BYTES (8 * 1024 * 1024) /* … or so many bytes */
#define UNSETTLED_MOST 4096
#define DEADLINE_RECORDS 256 /* how often the deadline is looked at */
#define BATCH_LIMIT 4        /* inside a transaction a batch is written out at this many times that */

/* Transactions held back: where they begin. */
struct held_list {
    int count;
    struct spool_position *begins;
};

struct apply {
    const struct plan *plan;
    struct spool *spool;
    struct spool_reader *reader;
    struct session *session;
    int64_t job_id;
    struct apply_bounds bounds;

    struct flush flush;
    struct batch batch;
    struct xid_list xids;      /* transactions in the batch */
    struct xid_list unsettled; /* applied, and not known to be visible to every new snapshot yet */
    uint64_t xid_near;         /* a full transaction id not far from those in the stream */
    lsn_t batch_lsn;           /* commit record of the batch's first transaction */
    int transactions;          /* in the batch, those that do not touch the table too */
    uint64_t xid;              /* of the transaction at hand */
    bool touches;              /* it changes the table */
    int64_t deadline_ms;       /* of apply_set_deadline(), 0: none */
    uint64_t changes_before;   /* what it was at apply_enter() */

    bool transaction_open;        /* on the session: part of a large transaction is written */
    bool external;                /* the transaction is the caller's */
    bool in_source;               /* between BEGIN and COMMIT of the stream */
    bool skipping;                /* that transaction is held back or already applied */
    lsn_t done_before;            /* what it was at apply_enter() */
    lsn_t done;                   /* end of the last transaction taken into the batch */
    lsn_t applied;                /* … and committed on the server */
    struct spool_position resume; /* after that transaction */
    uint64_t changes;
    int64_t marker;      /* passed */
    int64_t marker_seen; /* in the transaction being read */
    bool relation_checked;

    struct snapshot *visible; /* hold back what it does not see, or NULL */
    struct held_list held;
    bool release; /* apply the held ones now */

    struct dirty dirty;
};

struct apply *
apply_open(const struct apply_options *options, struct error *err)
{
    struct apply *a = mem_alloc(sizeof(*a));
    struct result res = {0};

    a->plan = options->plan;
    a->spool = options->spool;
    a->job_id = options->job_id;
    a->bounds = options->bounds;
    a->done = a->applied = options->after;
    a->session = session_open(options->connection, SESSION_SQL, "apply", err);
    if (a->session == NULL)
        goto failed;
    /* The key index is the way to every row, whatever the planner believes of a table without statistics. */
    if (!session_execute(
            a->session, err,
            "SET synchronous_commit = off; SET enable_seqscan = off; SET enable_hashjoin = off; "
            "SET enable_mergejoin = off; SET enable_material = off; SET client_min_messages = error") ||
        !flush_open(&a->flush, options->plan, a->session, err) ||
        !session_row(a->session, &res, err,
                     "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())", 0))
        goto failed;
    a->xid_near = strtoull(result_text(&res, 0, 0), NULL, 10);
    result_free(&res);
    batch_init(&a->batch, a->flush.columns.count, a->plan->key_count, a->flush.columns.key_positions);
    a->reader = spool_reader_open(options->spool, options->after, err);
    if (a->reader == NULL)
        goto failed;
    a->resume = spool_reader_position(a->reader);
    return a;
failed:
    result_free(&res);
    apply_close(a);
    return NULL;
}

void
apply_close(struct apply *a)
{
    if (a == NULL)
        return;
    spool_reader_close(a->reader);
    flush_close(&a->flush);
    batch_free(&a->batch);
    session_close(a->session);
    snapshot_free(a->visible);
    dirty_clear(&a->dirty);
    free(a->held.begins);
    free(a->xids.xids);
    free(a->unsettled.xids);
    free(a);
}

/* The full id nearest to xid_near with these low 32 bits. */
static uint64_t
widen_xid(struct apply *a, uint32_t xid)
{
    int32_t distance = (int32_t)(xid - (uint32_t)a->xid_near);

    return a->xid_near + (uint64_t)(int64_t)distance;
}

/* The definition of the table is the plan's, or the job ends: there is no guessing what a changed row would
 * mean. */
static bool
check_relation(struct apply *a, const struct message *m, struct error *err)
{
    const struct stream_columns *c = &a->flush.columns;
    bool same = m->relation.column_count == c->count;

    for (int i = 0; same && i < c->count; i++) {
        const struct column *column = &a->plan->source->columns[c->source[i]];

        same = strcmp(column->name, m->relation.columns[i].name) == 0 &&
               (column->type_oid == m->relation.columns[i].type_oid ||
                column->base_type_oid == m->relation.columns[i].type_oid);
    }
    if (!same) {
        error_set(err, ERROR_FAILED, "the definition of %s was changed while the job was running",
                  a->plan->source_sql);
        return error_detail(err, "Its columns are no longer those the plan was made for.");
    }
    if (m->relation.replica_identity == 'n' || m->relation.replica_identity == 'f') {
        error_set(err, ERROR_FAILED, "the replica identity of %s was changed while the job was running",
                  a->plan->source_sql);
        return false;
    }
    a->relation_checked = true;
    return true;
}

static bool
begin_if_needed(struct apply *a, struct error *err)
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
    if (a->batch_lsn <= a->bounds.barrier)
        return TRUST_NEWER;
    return a->batch_lsn <= a->bounds.exact ? TRUST_PARTIAL : TRUST_EXACT;
}

/* Values read from the source may be newer than the stream's place: until that is passed, the shadow is not
 * exact. */
static bool
move_exact(struct apply *a, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(a->session, &res, err, "SELECT pg_catalog.pg_current_wal_insert_lsn()", 0);

    if (ok && result_lsn(&res, 0, 0) > a->bounds.exact)
        a->bounds.exact = result_lsn(&res, 0, 0);
    result_free(&res);
    return ok;
}

/* Write out what the batch holds, inside the session's transaction. */
static bool
write_batch(struct apply *a, struct error *err)
{
    if (!begin_if_needed(a, err) ||
        !flush_batch(&a->flush, &a->batch, trust(a), a->xids.xids, a->xids.count, err))
        return false;
    if (a->flush.filled && !move_exact(a, err))
        return false;
    dirty_record(&a->dirty, &a->batch);
    a->changes += a->batch.changes;
    batch_reset(&a->batch);
    return true;
}

/* Position and effect in one transaction. While transactions are held back, the position stays before them.
 */
static bool
save_position(struct apply *a, struct error *err)
{
    char lsn[LSN_TEXT_SIZE], changes[24], job[24];

    if (a->held.count > 0)
        return true;
    snprintf(changes, sizeof(changes), "%" PRIu64, a->changes);
    snprintf(job, sizeof(job), "%" PRId64, a->job_id);
    return session_query(
        a->session, NULL, err,
        "UPDATE pgrecast.position SET applied_lsn = $1, changes_applied = $2 WHERE job_id = $3", 3,
        lsn_format(a->done, lsn), changes, job);
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
    if ((a->batch.entry_count > 0 || a->batch.truncated) && !write_batch(a, err))
        return false;
    if (a->transaction_open || a->external) {
        if (!flush_merge(&a->flush, err) || !save_position(a, err))
            return false;
        a->flush.overlay = false;
    }
    if (a->transaction_open) {
        if (!session_execute(a->session, err, "COMMIT"))
            return false;
        flush_transaction_ended(&a->flush);
    }
    a->transaction_open = false;
    a->xids.count = 0;
    a->transactions = 0;
    a->applied = a->done;
    if (!a->external)
        a->resume = spool_reader_position(a->reader);
    return a->external || settle_some(a, err);
}

/* Inside a transaction too large for one batch: its rows go by way of the overlay where other unique indexes
 * exist. */
static bool
spill(struct apply *a, struct error *err)
{
    if (a->batch.changes < (uint64_t)BATCH_CHANGES * BATCH_LIMIT &&
        a->batch.bytes < (size_t)BATCH_BYTES * BATCH_LIMIT)
        return true;
    if (!a->flush.overlay && a->batch_lsn > a->bounds.barrier)
        a->flush.overlay = plan_has_other_unique(a->plan);
    return write_batch(a, err);
}

static void
hold_back(struct apply *a, struct spool_position begin)
{
    a->held.begins = mem_array(a->held.begins, (size_t)a->held.count + 1, sizeof(*a->held.begins));
    a->held.begins[a->held.count++] = begin;
}

static void
take_begin(struct apply *a, const struct spool_record *record)
{
    uint64_t xid = widen_xid(a, record->message.begin.xid);

    a->in_source = true;
    a->marker_seen = 0;
    a->skipping = a->visible != NULL && !snapshot_sees(a->visible, xid);
    if (a->skipping) {
        hold_back(a, record->position);
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
    if (sscanf(text, "%lld %lld", &job, &number) == 2 && job == a->job_id)
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
        return m->relation.oid != a->plan->source->oid || check_relation(a, m, err);
    case MESSAGE_INSERT:
    case MESSAGE_UPDATE:
    case MESSAGE_DELETE:
        if (a->skipping || m->row.relation != a->plan->source->oid)
            return true;
        note_touch(a);
        if (!a->relation_checked)
            return error_set(err, ERROR_FAILED, "the spool has a change before the description of its table");
        return batch_add(&a->batch, m, err) && spill(a, err);
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

/* Read transactions into the batch until it is to be written. */
static enum apply_outcome
read_batch(struct apply *a, struct error *err)
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
            if (a->in_source || a->transactions == 0)
                return APPLY_IDLE;
            return finish_batch(a, err) ? APPLY_PROGRESS : APPLY_FAILED;
        case SPOOL_RECORD:
            if (!take_record(a, &record, &ends_batch, err))
                return APPLY_FAILED;
            break;
        }
        if (ends_batch) {
            if (!finish_batch(a, err))
                return APPLY_FAILED;
            if (a->marker_seen == 0)
                return APPLY_PROGRESS;
            a->marker = a->marker_seen;
            a->marker_seen = 0;
            return APPLY_MARKER;
        }
    }
}

/* The transactions held back, each read again from its place, then on from where the reader was. */
static bool
apply_held(struct apply *a, struct error *err)
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
    a->marker_seen = 0;
    a->done = done;
    return spool_seek(a->reader, here, err) && finish_batch(a, err);
}

enum apply_outcome
apply_step(struct apply *a, struct error *err)
{
    enum apply_outcome outcome;

    if (a->release)
        outcome = apply_held(a, err) ? APPLY_PROGRESS : APPLY_FAILED;
    else
        outcome = read_batch(a, err);
    if (outcome == APPLY_FAILED && !a->external) {
        session_rollback(a->session);
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

struct spool_position
apply_position(const struct apply *a)
{
    return a->held.count > 0 ? a->held.begins[0] : a->resume;
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
    return dirty_load(&a->dirty, a->session, a->plan->key_count, most, err);
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

struct session *
apply_session(struct apply *a)
{
    return a->session;
}

bool
apply_at_boundary(const struct apply *a)
{
    return !a->transaction_open && !a->release && a->held.count == 0;
}

void
apply_enter(struct apply *a)
{
    a->external = true;
    a->done_before = a->done;
    a->changes_before = a->changes;
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
        a->resume = spool_reader_position(a->reader);
        return true;
    }
    batch_reset(&a->batch);
    a->xids.count = 0;
    a->transactions = 0;
    a->deadline_ms = 0;
    a->changes = a->changes_before;
    a->done = a->applied = a->done_before;
    a->in_source = false;
    a->skipping = false;
    a->flush.overlay = false;
    return spool_seek(a->reader, a->resume, err);
}
