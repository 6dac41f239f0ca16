#include "state/position.h"

#include "core/mem.h"
#include "fence.h"
#include "statements.h"
#include "table.h"

struct params
state_table_params(const struct state_table *table)
{
    struct params p = {0};

    params_int(&p, table->job_id);
    params_int(&p, table->number);
    return p;
}

bool
state_position_reset(struct session *s, const struct job_state *job, lsn_t lsn, struct error *err)
{
    struct params p = fence_params(job);

    params_lsn(&p, lsn);
    return fence_run(s, NULL, err, state_sql_position_reset, &p);
}

static struct params
position_params(const struct state_table *table, const struct state_position *position)
{
    struct params p = state_table_params(table);

    params_int(&p, table->instance);
    params_lsn(&p, position->applied);
    params_uint(&p, position->changes);
    if (position->beyond > 0)
        params_lsn(&p, position->beyond);
    else
        params_null(&p);
    params_text(&p, position->beyond > 0 ? position->held : NULL);
    return p;
}

bool
state_position_write(struct session *s, const struct state_table *table,
                     const struct state_position *position, struct error *err)
{
    struct params p = position_params(table, position);

    return fence_run(s, NULL, err, state_sql_position_write, &p);
}

void
state_position_add(struct pipeline *p, const struct state_table *table, const struct state_position *position)
{
    struct params params = position_params(table, position);

    pipeline_add_with(p, state_sql_position_write, &params);
}

bool
state_position_written(const struct result *res, struct error *err)
{
    return result_affected(res) == 1 || fence_replaced(err);
}

bool
state_position_lock(struct session *s, const struct state_table *table, struct error *err)
{
    struct params p = state_table_params(table);

    params_int(&p, table->instance);
    return fence_run(s, NULL, err, state_sql_position_lock, &p);
}

bool
state_position_read_beyond(struct session *s, const struct state_table *table, lsn_t *beyond, lsn_t **held,
                           int *held_count, struct error *err)
{
    struct params p = state_table_params(table);
    struct result res = {0};
    bool ok = session_query_with(s, &res, err, state_sql_position_beyond, &p);

    *beyond = 0;
    *held = NULL;
    *held_count = 0;
    if (ok && result_rows(&res) > 0) {
        *beyond = row_lsn(&res, 0, "beyond_lsn");
        *held = mem_array(NULL, (size_t)result_rows(&res), sizeof(**held));
    }
    for (int i = 0; ok && i < result_rows(&res); i++)
        if (!row_null(&res, i, "held_lsn"))
            (*held)[(*held_count)++] = row_lsn(&res, i, "held_lsn");
    result_free(&res);
    return ok;
}
