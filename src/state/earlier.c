#include "state/earlier.h"

#include "pg/params.h"
#include "statements.h"

bool
earlier_find(struct session *s, const char *name, const char *sql, const char *table, struct earlier_job *job,
             struct error *err)
{
    struct params p = {0};
    struct result r = {0};
    bool ok;

    *job = (struct earlier_job){0};
    params_text(&p, name);
    params_text(&p, sql);
    params_text(&p, table);
    ok = session_query_with(s, &r, err, state_sql_job_earlier, &p);
    if (ok && result_rows(&r) > 0)
        *job = (struct earlier_job){.name = row_copy(&r, 0, "name"),
                                    .ended = row_bool(&r, 0, "ended"),
                                    .same = row_bool(&r, 0, "same"),
                                    .finished = row_bool(&r, 0, "finished")};
    result_free(&r);
    return ok;
}

bool
earlier_kept_by(struct session *s, uint32_t table, char **job, struct error *err)
{
    struct params p = {0};
    struct result r = {0};
    bool ok;

    params_uint(&p, table);
    ok = session_query_with(s, &r, err, state_sql_kept_by, &p);
    *job = ok && result_rows(&r) > 0 ? row_copy(&r, 0, "name") : NULL;
    result_free(&r);
    return ok;
}
