#include "state/blocked.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/encoding.h"
#include "core/mem.h"
#include "statements.h"
#include "table.h"

bool
state_blocked_enter(struct session *s, const struct state_table *table, const char *values,
                    const char *errors, struct error *err)
{
    struct params p = state_table_params(table);

    params_text(&p, values);
    params_text(&p, errors);
    return session_query_with(s, NULL, err, state_sql_blocked_enter, &p);
}

bool
state_blocked_remove(struct session *s, const struct state_table *table, const char *values,
                     struct error *err)
{
    struct params p = state_table_params(table);

    params_text(&p, values);
    return session_query_with(s, NULL, err, state_sql_blocked_remove, &p);
}

bool
state_blocked_keys(struct session *s, const struct state_table *table, int key_count, struct result *res,
                   struct error *err)
{
    struct params p = state_table_params(table);
    struct buffer sql = {0};
    bool ok;

    buffer_add_text(&sql, "SELECT ");
    for (int i = 0; i < key_count; i++)
        buffer_printf(&sql,
                      "%spg_catalog.encode(pg_catalog.convert_to(key_values[%d], "
                      "pg_catalog.getdatabaseencoding()), 'hex')",
                      i > 0 ? ", " : "", i + 1);
    buffer_printf(
        &sql,
        " FROM pgrecast.blocked WHERE job_id = $1 AND table_number = $2 AND "
        "pg_catalog.array_position(key_values, NULL) IS NULL AND pg_catalog.cardinality(key_values) = %d",
        key_count);
    ok = session_query_with(s, res, err, sql.data, &p);
    buffer_free(&sql);
    return ok;
}

bool
state_blocked_some(struct session *s, int64_t job_id, struct state_blocked_rows *some, struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    bool ok;

    params_int(&p, job_id);
    ok = session_query_with(s, &res, err, state_sql_blocked_some, &p);
    state_blocked_free(some);
    some->rows = mem_array(NULL, (size_t)result_rows(&res) + 1, sizeof(*some->rows));
    for (int i = 0; ok && i < result_rows(&res); i++) {
        char *key = encoding_unhex(row_text(&res, i, "key"));

        some->rows[some->count++] =
            (struct state_blocked_row){.key = encoding_shown(session_encoding(s), key, strlen(key)),
                                       .error = row_copy(&res, i, "error")};
        free(key);
    }
    result_free(&res);
    return ok;
}

void
state_blocked_free(struct state_blocked_rows *some)
{
    for (int i = 0; i < some->count; i++) {
        free(some->rows[i].key);
        free(some->rows[i].error);
    }
    free(some->rows);
    memset(some, 0, sizeof(*some));
}
