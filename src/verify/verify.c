#include "verify/verify.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "pg/redact.h"
#include "pg/workers.h"
#include "rows/code.h"
#include "select.h"
#include "transfer.h"
#include "verify/comparison.h"

#define ROWS_A_BLOCK 64 /* an estimate for a table without statistics */

/* One of the tables, divided into ranges of blocks. */
struct ranges {
    const char *snapshot;
    int64_t step;  /* blocks of a range */
    int64_t count; /* number of ranges, at least 1; the last one has no end */
    int64_t rows;  /* estimated number */
};

/* What the server says about a table's size. */
struct table_size {
    int64_t bytes;
    int64_t block_bytes;
    int64_t rows; /* the server's estimate; -1: unknown */
};

struct verify {
    const struct verify_request *request;
    struct workers *comparison; /* one thread without a session, which waits for the readings */
    struct workers *readers;    /* their sessions are kept for all readings */
    /*
     * One session for each reader, for what is too new for its snapshot; opened only where that is checked.
     */
    struct session **askers;
    struct ranges ranges[SIDE_COUNT]; /* written before the first reading */

    struct reading *reading;     /* the current reading; set while no reader runs */
    bool first;                  /* it is the first reading, whose progress counts; set like .reading */
    atomic_int_fast64_t total;   /* number of ranges; 0: not known yet */
    atomic_int_fast64_t passed;  /* ranges that the first reading has read */
    atomic_int_fast64_t rows;    /* rows of the first reading */
    struct verify_result result; /* written by the comparison while it runs */
};

static int
reader_count(const struct verify_request *request)
{
    return request->workers > 1 ? request->workers : 1;
}

/* ---- one range ---- */

static bool
begin_range(struct session *s, const char *snapshot, const struct plan *plan, enum verify_side side,
            struct error *err)
{
    struct buffer import = {0};
    char *lock =
        mem_printf("LOCK TABLE %s%s IN ACCESS SHARE MODE", select_only(plan, side), select_table(plan, side));
    const char *sql[3] = {"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", NULL, lock};
    bool ok;

    buffer_add_text(&import, "SET TRANSACTION SNAPSHOT ");
    buffer_add_literal(&import, snapshot);
    sql[1] = import.data;
    ok = session_pipeline(s, err, sql, 3);
    buffer_free(&import);
    free(lock);
    return ok;
}

/*
 * Under the lock: check that the table's file is still that of the snapshot. A partitioned table has a file for each
 * partition, and a range of its blocks is that range of each of them, up to the longest. The catalog is read in the
 * snapshot, the function returns the current file. TRUNCATE and a rewriting ALTER TABLE are not MVCC-safe
 * (manual, chapter 13.6), and a VACUUM FULL moves rows between ranges.
 */
static bool
check_file(struct session *s, const char *table, struct table_size *size, struct error *err)
{
    struct result res = {0};
    bool ok;

    ok = session_query(
        s, &res, err,
        "WITH RECURSIVE part (oid) AS (SELECT $1::pg_catalog.regclass::pg_catalog.oid UNION ALL "
        "SELECT i.inhrelid FROM part AS p JOIN pg_catalog.pg_class AS t ON t.oid = p.oid AND "
        "t.relkind = 'p' JOIN pg_catalog.pg_inherits AS i ON i.inhparent = p.oid) "
        "SELECT COALESCE(pg_catalog.bool_and(COALESCE(c.relfilenode = "
        "pg_catalog.pg_relation_filenode(c.oid), false)), true) AS same_file, "
        "COALESCE(pg_catalog.max(pg_catalog.pg_relation_size(c.oid)), 0) AS bytes, "
        "pg_catalog.current_setting('block_size')::bigint AS block_bytes, "
        "CASE WHEN pg_catalog.min(c.reltuples) < 0 THEN -1 ELSE "
        "COALESCE(pg_catalog.sum(c.reltuples), 0)::bigint END AS rows "
        "FROM part JOIN pg_catalog.pg_class AS c ON c.oid = part.oid AND c.relkind = 'r'",
        1, table);
    if (!ok)
        return false;
    if (!row_bool(&res, 0, "same_file")) {
        ok = error_set(err, ERROR_FAILED, "the table was rewritten or truncated after the snapshot");
        memcpy(err->sqlstate, VERIFY_REWRITTEN, sizeof(VERIFY_REWRITTEN));
    } else {
        size->bytes = row_int(&res, 0, "bytes");
        size->block_bytes = row_int(&res, 0, "block_bytes");
        size->rows = row_int(&res, 0, "rows");
    }
    result_free(&res);
    return ok;
}

/* The rows of a range count for the progress when the range is read: rows and ranges then grow together. */
struct range_rows {
    struct verify *v;
    int64_t rows;
};

static bool
note_rows(void *arg, int64_t more, struct error *err)
{
    struct range_rows *range = arg;

    range->rows += more;
    return !workers_ending(range->v->readers) || error_set(err, ERROR_FAILED, "the comparison is to end");
}

/*
 * While the tables are read, no code of another role may come to them. This is checked in a session with a
 * new snapshot.
 */
static bool
verify_guard(struct verify *v, int worker, struct session *s, struct error *err)
{
    const struct verify_request *request = v->request;

    if (!request->plan->code.foreign)
        return true;
    if (v->askers[worker] == NULL)
        v->askers[worker] = session_open(request->connection, SESSION_SQL, "verify", err);
    return v->askers[worker] != NULL && code_guard(s, v->askers[worker], request->plan, err);
}

static bool
read_range(struct verify *v, int worker, struct session *s, enum verify_side side, int64_t number,
           struct reading_part *part, struct error *err)
{
    const struct plan *plan = v->request->plan;
    const struct ranges *ranges = &v->ranges[side];
    struct range_rows read = {.v = v};
    const struct row_watch watch = {.rows = note_rows, .arg = &read};
    const char *table = select_table(plan, side);
    int64_t first = number * ranges->step;
    int64_t end = number == ranges->count - 1 ? -1 : first + ranges->step;
    char *sql = select_blocks(plan, side, first, end, v->reading->keeps_keys);
    struct table_size size;
    bool ok;

    part->side = side;
    ok = session_pin(s, err) && begin_range(s, ranges->snapshot, plan, side, err) &&
         verify_guard(v, worker, s, err) && check_file(s, table, &size, err) &&
         transfer_rows(s, sql, part, &watch, err) && session_commit(s, err);
    if (ok) {
        reading_part_hand_over(part);
        if (v->first)
            atomic_fetch_add(&v->rows, read.rows);
    } else if (strcmp(err->sqlstate, VERIFY_REWRITTEN) != 0) {
        error_redact(err);
        error_context(err, "comparing rows of %s", table);
    }
    free(sql);
    return ok;
}

/* ---- readings ---- */

/* Read ranges from the shared list until there are no more: those of the source, then those of the shadow. */
static bool
read_ranges(void *arg, int worker, struct session *s, struct error *err)
{
    struct verify *v = arg;
    int64_t of_source = v->ranges[SIDE_SOURCE].count, number;
    struct reading_part part;
    bool ok = true;

    reading_part_init(&part, v->reading, SIDE_SOURCE);
    while (ok && workers_take(v->readers, &number)) {
        ok = number < of_source ? read_range(v, worker, s, SIDE_SOURCE, number, &part, err)
                                : read_range(v, worker, s, SIDE_SHADOW, number - of_source, &part, err);
        if (ok && v->first)
            atomic_fetch_add(&v->passed, 1);
    }
    reading_part_free(&part);
    return ok;
}

/* Run the first count readers, and wait for them. */
static bool
run_readers(struct verify *v, int count, workers_work work, struct error *err)
{
    workers_start(v->readers, count, work, v, atomic_load(&v->total));
    switch (workers_join(v->readers, err)) {
    case WORKERS_DONE:
        return true;
    case WORKERS_ENDED:
        return error_set(err, ERROR_FAILED, "the comparison was cancelled");
    case WORKERS_FAILED:
        break;
    }
    return false;
}

/* One reading of both sides, by all readers. */
static bool
verify_read_both(void *arg, struct reading *r, struct error *err)
{
    struct verify *v = arg;
    bool ok;

    v->reading = r;
    ok = run_readers(v, reader_count(v->request), read_ranges, err);
    v->reading = NULL;
    v->first = false;
    return ok;
}

/* ---- the whole ---- */

/* The size of one table, and its ranges. */
static bool
measure_side(struct verify *v, struct session *s, enum verify_side side, struct error *err)
{
    struct ranges *ranges = &v->ranges[side];
    const char *table = select_table(v->request->plan, side);
    struct table_size size;
    int64_t blocks;

    if (!begin_range(s, ranges->snapshot, v->request->plan, side, err) || !check_file(s, table, &size, err) ||
        !session_commit(s, err))
        return error_context(err, "measuring %s", table);
    blocks = size.bytes / size.block_bytes;
    ranges->step = v->request->chunk_bytes / size.block_bytes;
    if (ranges->step < 1)
        ranges->step = 1;
    ranges->count = (blocks + ranges->step - 1) / ranges->step;
    if (ranges->count < 1)
        ranges->count = 1;
    ranges->rows = size.rows >= 0 ? size.rows : blocks * ROWS_A_BLOCK;
    return true;
}

/* Done by the first reader, before the readings. */
static bool
measure(void *arg, int worker, struct session *s, struct error *err)
{
    struct verify *v = arg;

    (void)worker;
    return measure_side(v, s, SIDE_SOURCE, err) && measure_side(v, s, SIDE_SHADOW, err);
}

/* The thread of the comparison. */
static bool
verify_compare(void *arg, int worker, struct session *none, struct error *err)
{
    struct verify *v = arg;
    const struct ranges *source = &v->ranges[SIDE_SOURCE], *shadow = &v->ranges[SIDE_SHADOW];
    struct comparison c = {
        .key_count = v->request->plan->key_count,
        .field_count = v->request->plan->rows.compare.count,
        .encoding = v->request->plan->rows.compare.encoding,
        .limits = &comparison_limits,
        .read = verify_read_both,
        .arg = v,
    };

    (void)worker;
    (void)none;
    if (!run_readers(v, 1, measure, err))
        return false;
    atomic_store(&v->total, source->count + shadow->count);
    c.bucket_count = digest_buckets_for(source->rows > shadow->rows ? source->rows : shadow->rows);
    return comparison_run(&c, &v->result, err);
}

struct verify *
verify_start(const struct verify_request *request)
{
    const struct workers_options readers = {
        .count = reader_count(request),
        .connection = request->connection,
        .purpose = "verify",
        .evaluates = true,
        /* Otherwise a bad estimate could make every range a scan of the whole table. */
        .settings = "SET enable_seqscan = off; SET max_parallel_workers_per_gather = 0",
        .keeps_sessions = true,
    };
    struct verify *v = mem_alloc(sizeof(*v));

    v->request = request;
    v->ranges[SIDE_SOURCE].snapshot = request->source_snapshot;
    v->ranges[SIDE_SHADOW].snapshot = request->shadow_snapshot;
    v->result.key_count = request->plan->key_count;
    v->first = true;
    v->askers = mem_alloc((size_t)readers.count * sizeof(*v->askers));
    v->readers = workers_new(&readers);
    v->comparison = workers_new(&(struct workers_options){.count = 1});
    workers_start(v->comparison, 1, verify_compare, v, 0);
    return v;
}

double
verify_progress(const struct verify *v)
{
    int64_t total = atomic_load(&v->total);

    return total > 0 ? (double)atomic_load(&v->passed) / (double)total : 0;
}

int64_t
verify_rows_read(const struct verify *v)
{
    return atomic_load(&v->rows);
}

bool
verify_done(const struct verify *v)
{
    return workers_done(v->comparison);
}

void
verify_cancel(struct verify *v)
{
    workers_end(v->readers);
}

bool
verify_finish(struct verify *v, struct verify_result *result, struct error *err)
{
    bool ok = workers_join(v->comparison, err) == WORKERS_DONE;

    *result = v->result;
    workers_free(v->comparison);
    workers_free(v->readers);
    for (int i = 0; i < reader_count(v->request); i++)
        session_close(v->askers[i]);
    free(v->askers);
    free(v);
    return ok;
}
