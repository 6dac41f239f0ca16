#include "state/chunk.h"

#include "core/mem.h"
#include "fence.h"
#include "statements.h"
#include "table.h"

bool
state_chunk_record(struct session *s, const struct state_table *table, uint32_t relation,
                   const struct state_chunk *chunk, struct error *err)
{
    struct params p = state_table_params(table);

    params_int(&p, table->instance);
    params_uint(&p, relation);
    params_int(&p, chunk->first_block);
    params_int(&p, chunk->end_block);
    params_int(&p, chunk->rows);
    return fence_run(s, NULL, err, state_sql_chunk_record, &p);
}

bool
state_chunk_read(struct session *s, const struct state_table *table, uint32_t relation,
                 struct state_chunk **chunks, int *count, struct error *err)
{
    struct params p = state_table_params(table);
    struct result res = {0};
    bool ok;

    params_uint(&p, relation);
    ok = session_query_with(s, &res, err, state_sql_chunk_read, &p);
    *count = ok ? result_rows(&res) : 0;
    *chunks = mem_array(NULL, (size_t)*count + 1, sizeof(**chunks));
    for (int i = 0; i < *count; i++)
        (*chunks)[i] = (struct state_chunk){.first_block = row_int(&res, i, "first_block"),
                                            .end_block = row_int(&res, i, "end_block"),
                                            .rows = row_int(&res, i, "rows")};
    result_free(&res);
    return ok;
}

bool
state_chunk_forget(struct session *s, const struct job_state *job, int number, struct error *err)
{
    struct params p = fence_params(job);

    params_int(&p, number);
    return fence_run(s, NULL, err, state_sql_chunk_forget, &p);
}
