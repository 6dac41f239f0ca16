#include <inttypes.h>
#include <stdlib.h>

#include "chunk.h"
#include "core/mem.h"
#include "pg/redact.h"
#include "rows/code.h"

/* Try to copy the rows that match, and undo it. True when it still fails because of a row's content. */
static bool
still_fails(struct session *s, const struct plan *plan, const char *sql)
{
    struct error err = {0};
    bool fails = false;

    if (session_execute(s, &err, "BEGIN")) {
        fails = code_guard(s, NULL, plan, &err) && !session_execute(s, &err, sql) && error_is_of_a_row(&err);
        session_rollback(s);
    }
    error_clear(&err);
    return fails;
}

static bool
read_horizon(struct session *s, uint64_t *horizon)
{
    struct result res = {0};
    struct error err = {0};
    bool ok = session_row(s, &res, &err,
                          "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()) AS xid", 0);

    *horizon = ok ? row_uint(&res, 0, "xid") : 0;
    result_free(&res);
    error_clear(&err);
    return ok;
}

static bool
failing_row_range_fails(struct session *s, const struct copy_request *request, struct chunk chunk,
                        uint64_t horizon)
{
    char *sql = chunk_sql(request, chunk, horizon);
    bool fails = still_fails(s, request->plan, sql);

    free(sql);
    return fails;
}

/* Add the key of a row as text, "(1, abc)", to the select list. */
static void
add_key_text(struct buffer *sql, const struct plan *plan)
{
    buffer_add_text(sql, "'(' || pg_catalog.concat_ws(', '");
    for (int i = 0; i < plan->key_count; i++) {
        buffer_add_text(sql, ", pgrecast_src.");
        buffer_add_identifier(sql, plan->key[i].source_name);
    }
    buffer_add_text(sql, ") || ')' AS key");
}

/* Read all rows of one block: their positions and keys. */
static bool
list_rows(struct session *s, const struct plan *plan, int64_t block, struct result *rows)
{
    struct buffer sql = {0};
    struct error err = {0};
    bool ok;

    buffer_add_text(&sql, "SELECT pgrecast_src.ctid, ");
    add_key_text(&sql, plan);
    buffer_printf(&sql,
                  " FROM ONLY %s AS pgrecast_src WHERE pgrecast_src.ctid >= '(%" PRId64
                  ",0)' AND pgrecast_src.ctid < '(%" PRId64 ",0)'",
                  plan->names.source_sql, block, block + 1);
    ok = session_query(s, rows, &err, sql.data, 0);
    error_clear(&err);
    buffer_free(&sql);
    return ok;
}

static bool
row_fails(struct session *s, const struct copy_request *request, struct chunk block, uint64_t horizon,
          const char *ctid)
{
    char *range = chunk_sql(request, block, horizon);
    char *sql = mem_printf("%s AND pgrecast_src.ctid = '%s'", range, ctid);
    bool fails = still_fails(s, request->plan, sql);

    free(sql);
    free(range);
    return fails;
}

void
chunk_name_failing_row(struct session *s, const struct copy_request *request, struct chunk chunk,
                       struct error *err)
{
    const struct chunk none = {chunk.from, chunk.from};
    struct result rows = {0};
    uint64_t horizon;

    if (!error_is_of_a_row(err) || !read_horizon(s, &horizon) ||
        !failing_row_range_fails(s, request, chunk, horizon) ||
        failing_row_range_fails(s, request, none, horizon)) /* the statement fails even without a row */
        return;
    while (chunk.to - chunk.from > 1) {
        struct chunk half = {chunk.from, chunk.from + (chunk.to - chunk.from) / 2};

        if (failing_row_range_fails(s, request, half, horizon))
            chunk.to = half.to;
        else
            chunk.from = half.to;
    }
    if (list_rows(s, request->plan, chunk.from, &rows)) {
        for (int i = 0; i < result_rows(&rows); i++) {
            if (row_fails(s, request, chunk, horizon, row_text(&rows, i, "ctid"))) {
                error_context(err, "the row with the key %s cannot be converted", row_text(&rows, i, "key"));
                break;
            }
        }
    }
    result_free(&rows);
}
