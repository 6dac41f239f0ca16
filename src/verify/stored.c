/* Finds out whether a row differs because of a stored generated column. */
#include <stdlib.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "pg/redact.h"
#include "rows/key_match.h"
#include "verify/verify.h"

static char *
stored_select(const struct plan *plan)
{
    struct buffer sql = {0};

    buffer_printf(&sql,
                  "SELECT pgrecast_new.* FROM %s%s AS pgrecast_src CROSS JOIN LATERAL (%s) AS pgrecast_new",
                  table_only(plan->source), plan->names.source_sql, plan->rows.compare.stored_differ);
    for (int i = 0; i < plan->key_count; i++) {
        char value[16];

        snprintf(value, sizeof(value), "$%d", i + 1);
        buffer_add_text(&sql, i == 0 ? " WHERE " : " AND ");
        key_match_add(&sql, plan, i, PLAN_SOURCE, "pgrecast_src", value);
    }
    return buffer_take(&sql);
}

bool
verify_stored_columns(struct session *s, const struct plan *plan, const struct verify_mismatch *mismatch,
                      struct string_list *columns, struct error *err)
{
    struct result res = {0};
    char *sql;
    bool ok;

    if (plan->rows.compare.stored_differ == NULL)
        return true;
    sql = stored_select(plan);
    ok = session_query_params(s, &res, err, sql, plan->key_count, (const char *const *)mismatch->key_values);
    for (int row = 0; ok && row < result_rows(&res); row++)
        for (int i = 0; i < plan->rows.compare.stored.count; i++) {
            char name[16];

            snprintf(name, sizeof(name), "d%d", i + 1);
            if (row_bool(&res, row, name))
                list_add_once(columns, plan->rows.compare.stored.items[i]);
        }
    if (!ok)
        error_redact(err);
    result_free(&res);
    free(sql);
    return ok;
}
