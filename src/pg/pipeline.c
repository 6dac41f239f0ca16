#include "pg/pipeline.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "pg/sqlstate.h"
#include "results.h"

static struct pipeline_statement *
pg_pipeline_add(struct pipeline *p, const char *sql, int nparams)
{
    struct pipeline_statement *statement;

    p->statements = mem_array(p->statements, (size_t)p->count + 1, sizeof(*p->statements));
    statement = &p->statements[p->count++];
    *statement = (struct pipeline_statement){.sql = mem_strdup(sql), .nparams = nparams};
    if (nparams > 0)
        statement->params = mem_array(NULL, (size_t)nparams, sizeof(*statement->params));
    return statement;
}

void
pipeline_add(struct pipeline *p, const char *sql)
{
    pg_pipeline_add(p, sql, 0);
}

void
pipeline_add_params(struct pipeline *p, const char *sql, int nparams, const char *const *params)
{
    struct pipeline_statement *statement = pg_pipeline_add(p, sql, nparams);

    for (int i = 0; i < nparams; i++)
        statement->params[i] = params[i] != NULL ? mem_strdup(params[i]) : NULL;
}

void
pipeline_add_prepared(struct pipeline *p, const char *name, int nparams, ...)
{
    struct pipeline_statement *statement = pg_pipeline_add(p, name, nparams);
    va_list args;

    statement->prepared = true;
    va_start(args, nparams);
    for (int i = 0; i < nparams; i++) {
        const char *value = va_arg(args, const char *);

        statement->params[i] = value != NULL ? mem_strdup(value) : NULL;
    }
    va_end(args);
}

void
pipeline_add_with(struct pipeline *p, const char *sql, const struct params *params)
{
    const char *values[PARAMS_MOST];

    params_values(params, values);
    pipeline_add_params(p, sql, params->count, values);
}

void
pipeline_add_prepared_with(struct pipeline *p, const char *name, const struct params *params)
{
    pipeline_add_with(p, name, params);
    p->statements[p->count - 1].prepared = true;
}

static bool
send_statement(struct session *s, const struct pipeline_statement *statement)
{
    const char *const *params = (const char *const *)statement->params;

    return statement->prepared ? PQsendQueryPrepared(session_conn(s), statement->sql, statement->nparams,
                                                     params, NULL, NULL, 0) != 0
                               : PQsendQueryParams(session_conn(s), statement->sql, statement->nparams, NULL,
                                                   params, NULL, NULL, 0) != 0;
}

/*
 * To be called before statements that were prepared by name: the user's code may have run in the session
 * since. It can have set another role or search_path, under which the statements would be planned anew. It
 * can have put a statement of its own in their place; but it can do that only with PREPARE, which can be
 * seen.
 */
static const char check_prepared[] = "SELECT pg_catalog.set_config('session_authorization', NULL, false), "
                                     "pg_catalog.set_config('role', NULL, false), "
                                     "pg_catalog.set_config('search_path', '', false), 1 "
                                     "OPERATOR(pg_catalog./) (CASE WHEN EXISTS (SELECT FROM "
                                     "pg_catalog.pg_prepared_statements WHERE from_sql AND "
                                     "pg_catalog.starts_with(name, 'pgrecast_')) THEN 0 ELSE 1 "
                                     "END)";

static bool
has_prepared(const struct pipeline *p)
{
    for (int i = 0; i < p->count; i++)
        if (p->statements[i].prepared)
            return true;
    return false;
}

/* For each statement one or more results and then NULL; at the end the sync. */
static bool
pipeline_collect(struct session *s, struct pipeline *p, bool checked, struct error *err)
{
    bool ok = true, cancelled = false;
    int at = checked ? -1 : 0;

    for (;;) {
        struct pipeline_statement *statement = at >= 0 && at < p->count ? &p->statements[at] : NULL;
        PGresult *res;

        if (!results_next_after(s, &res, &cancelled, ok, err))
            return false;
        if (res == NULL) {
            at++;
            continue;
        }
        if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
            PQclear(res);
            break;
        }
        if (ok && results_failed(res)) {
            ok = session_error(s, res, ERROR_FAILED, err);
            if (statement != NULL) {
                error_context(err, "%.300s", statement->sql);
                p->failed = at;
            } else if (at < 0 && sqlstate_is(err, SQLSTATE_DIVISION_BY_ZERO)) {
                error_set(err, ERROR_FAILED,
                          "code of the tables has replaced a prepared statement of the program");
            }
            err->stopped = cancelled;
        }
        if (statement != NULL) {
            result_free(&statement->result);
            statement->result.res = res;
        } else {
            PQclear(res);
        }
        if (PQstatus(session_conn(s)) == CONNECTION_BAD)
            return ok ? results_connection_error(s, err) : false;
    }
    return ok;
}

bool
pipeline_run(struct session *s, struct pipeline *p, struct error *err)
{
    bool ok = true, checked = has_prepared(p);

    p->failed = -1;
    if (PQenterPipelineMode(session_conn(s)) == 0)
        return results_connection_error(s, err);
    if (checked)
        ok = PQsendQueryParams(session_conn(s), check_prepared, 0, NULL, NULL, NULL, NULL, 0) != 0;
    for (int i = 0; i < p->count && ok; i++)
        ok = send_statement(s, &p->statements[i]);
    if (!ok || PQpipelineSync(session_conn(s)) == 0)
        return results_connection_error(s, err);
    ok = pipeline_collect(s, p, checked, err);
    PQexitPipelineMode(session_conn(s));
    return ok;
}

const struct result *
pipeline_result(const struct pipeline *p, int statement)
{
    return &p->statements[statement].result;
}

void
pipeline_free(struct pipeline *p)
{
    for (int i = 0; i < p->count; i++) {
        struct pipeline_statement *statement = &p->statements[i];

        for (int k = 0; k < statement->nparams; k++)
            free(statement->params[k]);
        free(statement->params);
        free(statement->sql);
        result_free(&statement->result);
    }
    free(p->statements);
    memset(p, 0, sizeof(*p));
}

bool
session_pipeline(struct session *s, struct error *err, const char *const *sql, int count)
{
    struct pipeline p = {0};
    bool ok;

    for (int i = 0; i < count; i++)
        pipeline_add(&p, sql[i]);
    ok = pipeline_run(s, &p, err);
    pipeline_free(&p);
    return ok;
}
