#include "chunk.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/mem.h"
#include "rows/code.h"
#include "state/chunk.h"

/*
 * "The row version is older than x0", on the 32 bits that a row keeps of its transaction. In a cluster's
 * first 2^32 transactions these bits are the whole number. age() compares it fastest, but is right only in
 * the first half of those transactions: later it would take an old row for a new one. After 2^32 an old
 * frozen row may carry any number. Then only the numbers in [x0, horizon) are taken for new, and the sweep
 * finds the few old rows among them. Numbers below 3 are permanent, so such rows are old.
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
        plan->names.shadow_sql, plan->rows.insert_columns, plan->names.source_sql,
        plan->rows.transform_insert, chunk.from, chunk.to);
    chunk_add_age_filter(&sql, request->x0, horizon);
    return buffer_take(&sql);
}

bool
chunk_find_bounds(struct session *s, const struct plan *plan, struct chunk_bounds *bounds, struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    bool ok;

    params_uint(&p, plan->source->oid);
    ok = session_row_with(
        s, &res, err,
        "SELECT pg_catalog.pg_relation_size($1::pg_catalog.oid::pg_catalog.regclass, 'main') AS bytes, "
        "pg_catalog.current_setting('block_size') AS block_bytes, "
        "pg_catalog.pg_size_bytes(pg_catalog.current_setting('logical_decoding_work_mem')) AS decoder_bytes",
        &p);
    if (ok) {
        bounds->block_size = (int)row_int(&res, 0, "block_bytes");
        bounds->blocks = row_int(&res, 0, "bytes") / bounds->block_size;
        bounds->decoder_bytes = row_int(&res, 0, "decoder_bytes");
    }
    result_free(&res);
    return ok;
}

/*
 * The lock comes before the snapshot: if the table were rewritten in between, it would look empty, without an
 * error. The lock ends with the chunk.
 */
static bool
chunk_begin(struct session *s, const struct plan *plan, uint64_t *horizon, uint32_t *relfilenode,
            struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    bool ok;

    params_uint(&p, plan->source->oid);
    ok = session_pin(s, err) && session_execute(s, err, "BEGIN ISOLATION LEVEL REPEATABLE READ") &&
         session_executef(s, err, "LOCK TABLE ONLY %s IN ACCESS SHARE MODE", plan->names.source_sql) &&
         code_guard(s, NULL, plan, err) &&
         session_row_with(
             s, &res, err,
             "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()) AS xid, "
             "pg_catalog.pg_relation_filenode($1::pg_catalog.oid::pg_catalog.regclass) AS filenode",
             &p);
    if (ok) {
        *horizon = row_uint(&res, 0, "xid");
        *relfilenode = (uint32_t)row_uint(&res, 0, "filenode");
    }
    result_free(&res);
    return ok;
}

/* To be called in the chunk's transaction. */
static bool
chunk_record(struct session *s, const struct copy_request *request, struct chunk chunk, int64_t rows,
             struct error *err)
{
    struct state_chunk copied = {.first_block = chunk.from, .end_block = chunk.to, .rows = rows};

    return state_chunk_record(s, &request->table, request->plan->source->oid, &copied, err);
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

    if (!chunk_begin(s, request->plan, &horizon, &relfilenode, err))
        goto out;
    if (relfilenode != request->plan->source->relfilenode) {
        outcome = COPY_REWRITTEN;
        goto out;
    }
    sql = chunk_sql(request, chunk, horizon);
    if (!session_query(s, &res, err, sql, 0))
        goto out;
    *rows = result_affected(&res);
    if (!session_pin(s, err) || !chunk_record(s, request, chunk, *rows, err) || !session_commit(s, err))
        goto out;
    outcome = COPY_DONE;
out:
    if (outcome != COPY_DONE)
        session_rollback(s);
    result_free(&res);
    free(sql);
    return outcome;
}
