#include "pg/pipeline.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "results.h"

static struct pipeline_statement *
add(struct pipeline *p, const char *sql, int nparams)
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
    add(p, sql, 0);
}

void
pipeline_add_params(struct pipeline *p, const char *sql, int nparams, const char *const *params)
{
    struct pipeline_statement *statement = add(p, sql, nparams);

    for (int i = 0; i < nparams; i++)
        statement->params[i] = params[i] != NULL ? mem_strdup(params[i]) : NULL;
}

void
pipeline_add_prepared(struct pipeline *p, const char *name, int nparams, ...)
{
    struct pipeline_statement *statement = add(p, name, nparams);
    va_list args;

    statement->prepared = true;
    va_start(args, nparams);
    for (int i = 0; i < nparams; i++) {
        const char *value = va_arg(args, const char *);

        statement->params[i] = value != NULL ? mem_strdup(value) : NULL;
    }
    va_end(args);
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

/* Per statement one or more results and then NULL; at the end the sync. */
static bool
collect(struct session *s, struct pipeline *p, struct error *err)
{
    bool ok = true, cancelled = false;
    int at = 0;

    for (;;) {
        struct pipeline_statement *statement = at < p->count ? &p->statements[at] : NULL;
        PGresult *res;

        if (!results_next(s, &res, &cancelled, err))
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
    bool ok = true;

    p->failed = -1;
    if (PQenterPipelineMode(session_conn(s)) == 0)
        return results_connection_error(s, err);
    for (int i = 0; i < p->count && ok; i++)
        ok = send_statement(s, &p->statements[i]);
    if (!ok || PQpipelineSync(session_conn(s)) == 0)
        return results_connection_error(s, err);
    ok = collect(s, p, err);
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
