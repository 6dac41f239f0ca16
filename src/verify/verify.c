#include "verify/verify.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "pg/redact.h"
#include "select.h"
#include "transfer.h"
#include "verify/comparison.h"

#define ROWS_A_BLOCK 64 /* a guess, for a table without statistics */

/* One of the tables, cut into ranges of blocks. */
struct ranges {
    const char *snapshot;
    int64_t step;  /* blocks a range */
    int64_t count; /* of ranges, at least 1; the last one is open-ended */
    int64_t rows;  /* estimated */
};

/* What the server says of a table's size. */
struct table_size {
    int64_t bytes;
    int64_t block_bytes;
    int64_t rows; /* its estimate, -1: unknown */
};

struct worker {
    struct verify *v;
    pthread_t thread;
    struct session *session; /* opened by its thread, kept for all readings */
};

struct verify {
    const struct verify_request *request;
    pthread_t thread; /* runs the comparison, and is the first worker */
    int worker_count;
    struct worker *workers;
    struct ranges ranges[SIDE_COUNT]; /* written before the first worker starts */

    struct reading *reading;    /* the one under way; set while no worker runs */
    bool first;                 /* it is the first one: progress counts; likewise */
    atomic_int_fast64_t next;   /* range to take: those of the source, then those of the shadow */
    atomic_int_fast64_t total;  /* ranges, 0 until known */
    atomic_int_fast64_t passed; /* ranges of the first reading that are read */
    atomic_int_fast64_t rows;   /* of the first reading */
    atomic_bool ending;         /* cancelled, or a worker failed: all end */
    atomic_bool done;

    pthread_mutex_t lock; /* error, while workers run */
    struct error error;   /* the first one */
    bool ok;
    struct verify_result result;
};

/* ---- one range ---- */

static bool
begin_range(struct session *s, const char *snapshot, const char *table, struct error *err)
{
    struct buffer import = {0};
    char *lock = mem_printf("LOCK TABLE ONLY %s IN ACCESS SHARE MODE", table);
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
 * Under the lock: is the table's file still that of the snapshot? The catalog is read in the snapshot, the
 * function tells what is now. TRUNCATE and a rewriting ALTER TABLE are not MVCC-safe (manual, chapter 13.6),
 * and a VACUUM FULL moves rows between ranges.
 */
static bool
check_file(struct session *s, const char *table, struct table_size *size, struct error *err)
{
    struct result res = {0};
    bool ok;

    ok = session_query(s, &res, err,
                       "SELECT c.relfilenode = pg_catalog.pg_relation_filenode(c.oid), "
                       "pg_catalog.pg_relation_size(c.oid), "
                       "pg_catalog.current_setting('block_size')::bigint, c.reltuples::bigint "
                       "FROM pg_catalog.pg_class AS c WHERE c.oid = $1::pg_catalog.regclass",
                       1, table);
    if (!ok)
        return false;
    if (result_rows(&res) != 1 || !result_bool(&res, 0, 0)) {
        ok = error_set(err, ERROR_FAILED, "the table was rewritten or truncated after the snapshot");
        memcpy(err->sqlstate, VERIFY_REWRITTEN, sizeof(VERIFY_REWRITTEN));
    } else {
        size->bytes = result_int(&res, 0, 1);
        size->block_bytes = result_int(&res, 0, 2);
        size->rows = result_int(&res, 0, 3);
    }
    result_free(&res);
    return ok;
}

static bool
note_rows(void *arg, int64_t more, struct error *err)
{
    struct verify *v = arg;

    if (v->first)
        atomic_fetch_add(&v->rows, more);
    if (atomic_load(&v->ending))
        return error_set(err, ERROR_FAILED, "the comparison was cancelled");
    return true;
}

static bool
read_range(struct worker *w, enum verify_side side, int64_t number, struct reading_part *part,
           struct error *err)
{
    struct verify *v = w->v;
    const struct plan *plan = v->request->plan;
    const struct ranges *ranges = &v->ranges[side];
    const struct row_watch watch = {.rows = note_rows, .arg = v};
    const char *table = select_table(plan, side);
    int64_t first = number * ranges->step;
    int64_t end = number == ranges->count - 1 ? -1 : first + ranges->step;
    char *sql = select_blocks(plan, side, first, end, v->reading->keeps_keys);
    struct table_size size;
    bool ok;

    part->side = side;
    ok = begin_range(w->session, ranges->snapshot, table, err) && check_file(w->session, table, &size, err) &&
         transfer_rows(w->session, sql, part, &watch, err) && session_execute(w->session, err, "COMMIT");
    if (ok)
        reading_part_hand_over(part);
    else if (strcmp(err->sqlstate, VERIFY_REWRITTEN) != 0) {
        error_redact(err);
        error_context(err, "comparing rows of %s", table);
    }
    free(sql);
    return ok;
}

/* ---- workers ---- */

/* The first error counts; all others end because of it. */
static void
fail(struct verify *v, struct error *err)
{
    pthread_mutex_lock(&v->lock);
    if (v->error.kind == ERROR_NONE)
        error_move(&v->error, err);
    else
        error_clear(err);
    atomic_store(&v->ending, true);
    pthread_mutex_unlock(&v->lock);
}

static bool
open_session(struct worker *w, struct error *err)
{
    if (w->session != NULL)
        return true;
    w->session = session_open(w->v->request->connection, SESSION_SQL, "verify", err);
    /* A bad estimate must not make every range a scan of the whole table. */
    return w->session != NULL &&
           session_execute(w->session, err,
                           "SET enable_seqscan = off; SET max_parallel_workers_per_gather = 0");
}

/* Ranges from the shared list until there are no more. */
static void *
work(void *arg)
{
    struct worker *w = arg;
    struct verify *v = w->v;
    struct reading_part part;
    struct error err = {0};
    bool ok;

    reading_part_init(&part, v->reading, SIDE_SOURCE);
    ok = open_session(w, &err);
    while (ok && !atomic_load(&v->ending)) {
        int64_t number = atomic_fetch_add(&v->next, 1);
        int64_t of_source = v->ranges[SIDE_SOURCE].count;

        if (number >= atomic_load(&v->total))
            break;
        ok = number < of_source ? read_range(w, SIDE_SOURCE, number, &part, &err)
                                : read_range(w, SIDE_SHADOW, number - of_source, &part, &err);
        if (ok && v->first)
            atomic_fetch_add(&v->passed, 1);
    }
    if (!ok)
        fail(v, &err);
    reading_part_free(&part);
    return NULL;
}

/* One reading of both sides, by all workers. */
static bool
read_both(void *arg, struct reading *r, struct error *err)
{
    struct verify *v = arg;
    int started = 1;

    v->reading = r;
    atomic_store(&v->next, 0);
    while (started < v->worker_count &&
           pthread_create(&v->workers[started].thread, NULL, work, &v->workers[started]) == 0)
        started++;
    if (started < v->worker_count) {
        error_set(err, ERROR_FAILED, "could not start a thread");
        fail(v, err);
    }
    work(&v->workers[0]);
    for (int i = 1; i < started; i++)
        pthread_join(v->workers[i].thread, NULL);
    v->reading = NULL;
    v->first = false;
    if (v->error.kind != ERROR_NONE) {
        error_move(err, &v->error);
        return false;
    }
    return atomic_load(&v->ending) ? error_set(err, ERROR_FAILED, "the comparison was cancelled") : true;
}

/* ---- the whole ---- */

/* The size of one table, and its ranges. */
static bool
measure_side(struct verify *v, enum verify_side side, struct error *err)
{
    struct session *s = v->workers[0].session;
    struct ranges *ranges = &v->ranges[side];
    const char *table = select_table(v->request->plan, side);
    struct table_size size;
    int64_t blocks;

    if (!begin_range(s, ranges->snapshot, table, err) || !check_file(s, table, &size, err) ||
        !session_execute(s, err, "COMMIT"))
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

static bool
measure(struct verify *v, struct error *err)
{
    if (!open_session(&v->workers[0], err) || !measure_side(v, SIDE_SOURCE, err) ||
        !measure_side(v, SIDE_SHADOW, err))
        return false;
    atomic_store(&v->total, v->ranges[SIDE_SOURCE].count + v->ranges[SIDE_SHADOW].count);
    return true;
}

/* The thread of the comparison. */
static void *
compare(void *arg)
{
    struct verify *v = arg;
    const struct plan *plan = v->request->plan;
    struct comparison c = {
        .key_count = plan->key_count,
        .field_count = plan->compare_count,
        .limits = &comparison_limits,
        .read = read_both,
        .arg = v,
    };
    struct error err = {0};

    v->ok = measure(v, &err);
    if (v->ok) {
        int64_t source = v->ranges[SIDE_SOURCE].rows, shadow = v->ranges[SIDE_SHADOW].rows;

        c.bucket_count = digest_buckets_for(source > shadow ? source : shadow);
        v->ok = comparison_run(&c, &v->result, &err);
    }
    if (!v->ok)
        fail(v, &err);
    for (int i = 0; i < v->worker_count; i++) {
        session_close(v->workers[i].session);
        v->workers[i].session = NULL;
    }
    atomic_store(&v->done, true);
    return NULL;
}

struct verify *
verify_start(const struct verify_request *request, struct error *err)
{
    struct verify *v = mem_alloc(sizeof(*v));

    v->request = request;
    v->worker_count = request->workers > 1 ? request->workers : 1;
    v->workers = mem_array(NULL, (size_t)v->worker_count, sizeof(*v->workers));
    for (int i = 0; i < v->worker_count; i++)
        v->workers[i] = (struct worker){.v = v};
    v->ranges[SIDE_SOURCE].snapshot = request->source_snapshot;
    v->ranges[SIDE_SHADOW].snapshot = request->shadow_snapshot;
    v->result.key_count = request->plan->key_count;
    v->first = true;
    pthread_mutex_init(&v->lock, NULL);
    if (pthread_create(&v->thread, NULL, compare, v) != 0) {
        error_set(err, ERROR_FAILED, "could not start a thread");
        pthread_mutex_destroy(&v->lock);
        free(v->workers);
        free(v);
        return NULL;
    }
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
    return atomic_load(&v->done);
}

void
verify_cancel(struct verify *v)
{
    atomic_store(&v->ending, true);
}

bool
verify_finish(struct verify *v, struct verify_result *result, struct error *err)
{
    bool ok;

    pthread_join(v->thread, NULL);
    ok = v->ok;
    *result = v->result;
    if (!ok)
        error_move(err, &v->error);
    pthread_mutex_destroy(&v->lock);
    free(v->workers);
    free(v);
    return ok;
}
