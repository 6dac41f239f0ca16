#include <inttypes.h>
#include <stdlib.h>

#include "chunk.h"
#include "core/mem.h"
#include "rows/code.h"
#include "pg/redact.h"
#include "rows/key_match.h"

bool
copy_sweep_needed(uint64_t horizon)
{
    return horizon >= XID_SPAN;
}

/* Adds AND NOT EXISTS (a row of the shadow with the row's key). */
static void
add_absent(struct buffer *sql, const struct plan *plan)
{
    buffer_printf(sql, " AND NOT EXISTS (SELECT FROM %s%s AS s WHERE ", table_only(plan->target),
                  plan->names.shadow_sql);
    for (int i = 0; i < plan->key_count; i++) {
        struct buffer value = {0};

        buffer_add_text(&value, "pgrecast_src.");
        buffer_add_identifier(&value, plan->key[i].source_name);
        buffer_add_text(sql, i > 0 ? " AND " : "");
        key_match_add(sql, plan, i, PLAN_SHADOW, "s", value.data);
        buffer_free(&value);
    }
    buffer_add_char(sql, ')');
}

bool
copy_sweep_find(struct session *s, const struct copy_request *request, struct error *err)
{
    struct buffer sql = {0};
    struct result res = {0};
    bool ok;

    ok = session_execute(s, err, "BEGIN ISOLATION LEVEL REPEATABLE READ") &&
         code_guard(s, NULL, request->plan, err) &&
         session_row(s, &res, err,
                     "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()) AS xid", 0);
    if (ok) {
        buffer_printf(&sql,
                      "CREATE TEMPORARY TABLE pgrecast_unsure AS SELECT pgrecast_src.ctid AS place, "
                      "pgrecast_src.xmin AS version FROM ONLY %s AS pgrecast_src WHERE NOT ",
                      request->plan->names.source_sql);
        chunk_add_age_filter(&sql, request->x0, row_uint(&res, 0, "xid"));
        add_absent(&sql, request->plan);
        ok = session_execute(s, err, sql.data) && session_commit(s, err);
    }
    if (!ok)
        session_rollback(s);
    result_free(&res);
    buffer_free(&sql);
    return ok;
}

bool
copy_sweep_insert(struct session *s, const struct copy_request *request, int64_t *rows, struct error *err)
{
    const struct plan *plan = request->plan;
    struct buffer sql = {0};
    struct result res = {0};
    bool ok;

    buffer_printf(
        &sql,
        "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT pgrecast_new.* FROM pg_temp.pgrecast_unsure "
        "AS u JOIN ONLY %s AS pgrecast_src ON pgrecast_src.ctid = u.place CROSS JOIN LATERAL (%s) AS "
        "pgrecast_new WHERE pgrecast_src.xmin = u.version",
        plan->names.shadow_sql, plan->rows.insert_columns, plan->names.source_sql,
        plan->rows.transform_insert);
    add_absent(&sql, plan);
    ok = session_query(s, &res, err, sql.data, 0) &&
         session_execute(s, err, "DROP TABLE pg_temp.pgrecast_unsure");
    if (!ok)
        error_redact(err);
    *rows = ok ? result_affected(&res) : 0;
    result_free(&res);
    buffer_free(&sql);
    return ok;
}
