#include "state/swap.h"

#include <stdlib.h>

#include "core/mem.h"
#include "fence.h"
#include "sql/sql.h"
#include "statements.h"

/* Names of prepared statements. */
#define STATEMENT_SWAP "pgrecast_swap"
#define STATEMENT_ACTIVE "pgrecast_active"
#define STATEMENT_VERSIONS "pgrecast_others"
#define STATEMENT_OTHER "pgrecast_other"
#define STATEMENT_VIEW "pgrecast_view"

bool
state_swap_prepare(struct session *s, struct error *err)
{
    char *active = mem_printf(
        "WITH now AS MATERIALIZED (%s\n) UPDATE pgrecast.job_table AS t "
        "SET active_fingerprint = now.fingerprint, active_definition = now.definition::pg_catalog.jsonb "
        "FROM now WHERE t.job_id = $3 AND now.oid IN (t.source_oid, t.shadow_oid)",
        sql_catalog_fingerprint);
    char *versions =
        mem_printf("UPDATE pgrecast.job_table AS t "
                   "SET other_versions = now.versions, other_fingerprint = NULL, other_definition = NULL "
                   "FROM (%s\n) AS now WHERE t.job_id = $2 AND now.oid IN (t.source_oid, t.shadow_oid)",
                   sql_catalog_versions);
    bool ok = session_prepare(s, err, STATEMENT_SWAP, state_sql_job_swap) &&
              session_prepare(s, err, STATEMENT_ACTIVE, active) &&
              session_prepare(s, err, STATEMENT_VERSIONS, versions) &&
              session_prepare(s, err, STATEMENT_OTHER, state_sql_job_other) &&
              session_prepare(s, err, STATEMENT_VIEW, state_sql_job_view);

    free(active);
    free(versions);
    return ok;
}

void
state_swap_add(struct pipeline *p, const struct job_state *job, enum job_phase phase, double window_s,
               const char *requests)
{
    struct params params = fence_params(job);
    char *window = window_s < 0 ? NULL : mem_printf("%.3f s", window_s);

    params_text(&params, job_phase_name(phase));
    params_text(&params, window);
    params_text(&params, requests);
    pipeline_add_prepared_with(p, STATEMENT_SWAP, &params);
    free(window);
}

bool
state_swap_saved(const struct result *res, struct error *err)
{
    return result_affected(res) == 1 || fence_replaced(err);
}

bool
state_swap_is_recorded(struct session *s, const struct job_state *job, uint64_t xid, bool *recorded,
                       struct error *err)
{
    struct params params = {0};
    struct result res = {0};
    bool ok;

    params_int(&params, job->id);
    params_uint(&params, xid);
    ok = session_row_with(s, &res, err,
                          "SELECT EXISTS (SELECT FROM pgrecast.job WHERE id = $1 AND "
                          "swap_xid = $2::pg_catalog.xid8) AS recorded",
                          &params);
    if (ok)
        *recorded = row_bool(&res, 0, "recorded");
    result_free(&res);
    return ok;
}

void
state_swap_add_active(struct pipeline *p, const struct job_state *job, const char *oids, const char *own)
{
    struct params params = {0};

    params_text(&params, oids);
    params_text(&params, own);
    params_int(&params, job->id);
    pipeline_add_prepared_with(p, STATEMENT_ACTIVE, &params);
}

void
state_swap_add_versions(struct pipeline *p, const struct job_state *job, const char *oids)
{
    struct params params = {0};

    params_text(&params, oids);
    params_int(&params, job->id);
    pipeline_add_prepared_with(p, STATEMENT_VERSIONS, &params);
}

void
state_swap_add_other(struct pipeline *p, const struct job_state *job, uint32_t before, uint32_t after,
                     const char *name)
{
    struct params params = {0};

    params_int(&params, job->id);
    params_uint(&params, before);
    params_uint(&params, after);
    params_text(&params, name);
    pipeline_add_prepared_with(p, STATEMENT_OTHER, &params);
}

void
state_swap_add_view(struct pipeline *p, const struct job_state *job, const char *before, const char *after)
{
    struct params params = {0};

    params_int(&params, job->id);
    params_text(&params, before);
    params_text(&params, after);
    pipeline_add_prepared_with(p, STATEMENT_VIEW, &params);
}
