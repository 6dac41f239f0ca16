#include "chunk.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/mem.h"

/*
 * "The row version is older than x0", on the 32 bits that a row keeps of its transaction. In a cluster's
 * first 2^32 transactions they are the whole number; age() compares it fastest, but only in the first half of
 * them: later it would take an old row for a new one. After 2^32 an old frozen row may carry any number, so
 * only those in [x0, horizon) are taken for new; the few old ones among them are found by the sweep. Numbers
 * below 3 are permanent, so old.
 */
void
chunk_add_age_filter(struct buffer *sql, uint64_t x0, uint64_t horizon)
{
    if (horizon < XID_SPAN / 2)
        buffer_printf(
            sql, "pg_catalog.age(pgrecast_src.xmin) > pg_catalog.age('%" PRIu64 "'::pg_catalog.xid)", x0);
    else if (horizon < XID_SPAN)
        buffer_printf(sql, "pgrecast_src.xmin::pg_catalog.text::pg_catalog.int8 < %" PRIu64, x0);
    else
        buffer_printf(sql,
                      "(pgrecast_src.xmin::pg_catalog.text::pg_catalog.int8 < 3 OR "
                      "((pgrecast_src.xmin::pg_catalog.text::pg_catalog.int8 - %" PRIu64
                      ") & 4294967295) >= %" PRIu64 ")",
                      x0 % XID_SPAN, horizon - x0);
}

char *
chunk_sql(const struct copy_request *request, struct chunk chunk, uint64_t horizon)
{
    const struct plan *plan = request->plan;
    struct buffer sql = {0};

    buffer_printf(
        &sql,
        "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT pgrecast_new.* FROM ONLY %s AS pgrecast_src "
        "CROSS JOIN LATERAL (%s) AS pgrecast_new "
        "WHERE pgrecast_src.ctid >= '(%" PRId64 ",0)' AND pgrecast_src.ctid < '(%" PRId64 ",0)' AND ",
        plan->shadow_sql, plan->insert_columns, plan->source_sql, plan->transform_insert, chunk.from,
        chunk.to);
    chunk_add_age_filter(&sql, request->x0, horizon);
    return buffer_take(&sql);
}

bool
chunk_find_bounds(struct session *s, const struct plan *plan, struct chunk_bounds *bounds, struct error *err)
{
    struct result res = {0};
    char oid[16];
    bool ok;

    snprintf(oid, sizeof(oid), "%u", plan->source->oid);
    ok = session_row(s, &res, err,
                     "SELECT pg_catalog.pg_relation_size($1::pg_catalog.oid::pg_catalog.regclass, 'main'), "
                     "pg_catalog.current_setting('block_size'), "
                     "pg_catalog.pg_size_bytes(pg_catalog.current_setting('logical_decoding_work_mem'))",
                     1, oid);
    if (ok) {
        bounds->block_size = (int)result_int(&res, 0, 1);
        bounds->blocks = result_int(&res, 0, 0) / bounds->block_size;
        bounds->decoder_bytes = result_int(&res, 0, 2);
    }
    result_free(&res);
    return ok;
}

/*
 * The lock first, then the snapshot: a rewrite in between would show as an empty table, without an error. The
 * lock ends with the chunk.
 */
static bool
begin(struct session *s, const struct plan *plan, uint64_t *horizon, uint32_t *relfilenode, struct error *err)
{
    struct result res = {0};
    char oid[16];
    bool ok;

    snprintf(oid, sizeof(oid), "%u", plan->source->oid);
    ok = session_execute(s, err, "BEGIN ISOLATION LEVEL REPEATABLE READ") &&
         session_executef(s, err, "LOCK TABLE ONLY %s IN ACCESS SHARE MODE", plan->source_sql) &&
         session_row(s, &res, err,
                     "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()), "
                     "pg_catalog.pg_relation_filenode($1::pg_catalog.oid::pg_catalog.regclass)",
                     1, oid);
    if (ok) {
        *horizon = strtoull(result_text(&res, 0, 0), NULL, 10);
        *relfilenode = (uint32_t)result_int(&res, 0, 1);
    }
    result_free(&res);
    return ok;
}

/*
 * In the chunk's transaction. The lock on the position's row makes whoever takes the job over wait for this
 * commit, or this commit find that the job was taken: no chunk is copied twice.
 */
static bool
record(struct session *s, const struct copy_request *request, struct chunk chunk, int64_t rows,
       struct error *err)
{
    char job[24], number[16], from[24], to[24], count[24], instance[24];
    struct result res = {0};
    bool ok;

    snprintf(job, sizeof(job), "%" PRId64, request->job_id);
    snprintf(number, sizeof(number), "%d", request->table_number);
    snprintf(from, sizeof(from), "%" PRId64, chunk.from);
    snprintf(to, sizeof(to), "%" PRId64, chunk.to);
    snprintf(count, sizeof(count), "%" PRId64, rows);
    snprintf(instance, sizeof(instance), "%" PRId64, request->instance);
    ok = session_query(s, &res, err,
                       "WITH mine AS (SELECT job_id, table_number FROM pgrecast.position WHERE job_id = $1 "
                       "AND table_number = $6 AND instance = $5 FOR SHARE) "
                       "INSERT INTO pgrecast.chunk (job_id, table_number, first_block, end_block, rows) "
                       "SELECT job_id, table_number, $2, $3, $4 FROM mine",
                       6, job, from, to, count, instance, number);
    if (ok && result_affected(&res) != 1)
        ok = error_set(err, ERROR_FAILED, "another instance has taken over the job");
    result_free(&res);
    return ok;
}

enum copy_outcome
chunk_copy(struct session *s, const struct copy_request *request, struct chunk chunk, int64_t *rows,
           struct error *err)
{
    struct result res = {0};
    enum copy_outcome outcome = COPY_FAILED;
    uint32_t relfilenode;
    uint64_t horizon;
    char *sql = NULL;

    if (!begin(s, request->plan, &horizon, &relfilenode, err))
        goto out;
    if (relfilenode != request->plan->source->relfilenode) {
        outcome = COPY_REWRITTEN;
        goto out;
    }
    sql = chunk_sql(request, chunk, horizon);
    if (!session_query(s, &res, err, sql, 0))
        goto out;
    *rows = result_affected(&res);
    if (!record(s, request, chunk, *rows, err) || !session_execute(s, err, "COMMIT"))
        goto out;
    outcome = COPY_DONE;
out:
    if (outcome != COPY_DONE)
        session_rollback(s);
    result_free(&res);
    free(sql);
    return outcome;
}
