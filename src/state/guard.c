#include "state/guard.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/command.h"
#include "core/mem.h"
#include "fence.h"
#include "statements.h"

/* Names of prepared statements. */
#define STATEMENT_GUARD "pgrecast_guard"
#define STATEMENT_SEAL "pgrecast_seal"
#define STATEMENT_SEALS "pgrecast_seals"

char *
guard_session_settings(int64_t job_id)
{
    return mem_printf("CREATE TEMPORARY TABLE IF NOT EXISTS pgrecast_job_%" PRId64 " ()", job_id);
}

bool
guard_admit(struct session *s, const struct job_state *job, struct error *err)
{
    char *settings = guard_session_settings(job->id);
    bool ok = session_execute(s, err, settings);

    free(settings);
    return ok ? true : error_context(err, "marking a session as one of the job's");
}

/* The trigger also fires in sessions that have turned triggers off (session_replication_role). */
static char *
guard_create(const struct job_state *job, const char *table_sql)
{
    struct buffer sql = {0}, word = {0};

    buffer_printf(&sql,
                  "CREATE TRIGGER pgrecast_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s "
                  "FOR EACH STATEMENT EXECUTE FUNCTION pgrecast.guard('%" PRId64 "', ",
                  table_sql, job->id);
    buffer_add_literal(&sql, job->name);
    command_add_word(&word, job->name);
    buffer_add_text(&sql, ", ");
    buffer_add_literal(&sql, word.data);
    buffer_add_char(&sql, ')');
    buffer_free(&word);
    return buffer_take(&sql);
}

static char *
guard_enable(const char *table_sql)
{
    return mem_printf("ALTER TABLE %s ENABLE ALWAYS TRIGGER pgrecast_guard", table_sql);
}

static struct params
guard_params(const struct job_state *job, const char *before, const char *now, uint32_t oid)
{
    struct params p = fence_params(job);

    params_text(&p, before);
    params_text(&p, now);
    params_uint(&p, oid);
    return p;
}

bool
guard_set(struct session *s, const struct job_state *job, int table, const char *table_sql, struct error *err)
{
    struct params p = guard_params(job, table_sql, table_sql, job_other_oid(job, table));
    char *create = guard_create(job, table_sql), *enable = guard_enable(table_sql);
    bool ok = session_execute(s, err, create) && session_execute(s, err, enable) &&
              fence_run(s, NULL, err, state_sql_guard_made, &p);

    free(create);
    free(enable);
    return ok ? true : error_context(err, "setting the guard of %s", table_sql);
}

bool
guard_renew(struct session *s, const struct job_state *job, int table, const char *table_sql,
            struct error *err)
{
    return session_executef(s, err, "DROP TRIGGER IF EXISTS pgrecast_guard ON %s", table_sql) &&
           guard_set(s, job, table, table_sql, err);
}

static char *
seal_update(void)
{
    return mem_printf("WITH seal AS (%s) UPDATE pgrecast.job_table AS t SET guard_seal = seal.now FROM seal "
                      "WHERE t.job_id = $1 AND t.number = seal.number",
                      state_sql_guard_sealed);
}

bool
guard_prepare(struct session *s, struct error *err)
{
    char *update = seal_update();
    bool ok = session_prepare(s, err, STATEMENT_GUARD, state_sql_guard_made) &&
              session_prepare(s, err, STATEMENT_SEAL, update) &&
              session_prepare(s, err, STATEMENT_SEALS, state_sql_guard_sealed);

    free(update);
    return ok;
}

bool
guard_seal(struct session *s, const struct job_state *job, struct error *err)
{
    struct params p = fence_params(job);
    char *update = seal_update();
    bool ok = fence_run(s, NULL, err, update, &p);

    free(update);
    return ok;
}

bool
guard_distrust(struct session *s, const struct job_state *job, struct error *err)
{
    struct params p = fence_params(job);

    return fence_run(s, NULL, err, state_sql_guard_distrust, &p);
}

static bool
read_seals(struct session *s, const struct job_state *job, struct result *res, struct error *err)
{
    struct params p = fence_params(job);

    return session_query_with(s, res, err, state_sql_guard_sealed, &p);
}

int
guard_opened(const struct job_state *job, const struct result *res)
{
    int rows = result_rows(res);

    for (int i = 0; i < rows; i++)
        if (row_int(res, i, "number") != i + 1 || row_null(res, i, "kept") ||
            strcmp(row_text(res, i, "kept"), row_text(res, i, "now")) != 0)
            return i;
    return rows == job->table_count ? -1 : rows;
}

bool
guard_read_seals(struct session *s, const struct job_state *job, int *opened, struct error *err)
{
    struct result res = {0};
    bool ok = read_seals(s, job, &res, err);

    *opened = ok ? guard_opened(job, &res) : -1;
    result_free(&res);
    return ok;
}

void
guard_add_seals(struct pipeline *p, const struct job_state *job)
{
    struct params params = fence_params(job);

    pipeline_add_prepared_with(p, STATEMENT_SEALS, &params);
}

bool
guard_note_seals(struct session *s, const struct job_state *job, struct string_list *seals, struct error *err)
{
    struct result res = {0};
    bool ok = read_seals(s, job, &res, err);

    list_free(seals);
    for (int i = 0; ok && i < result_rows(&res); i++)
        list_add(seals, row_copy(&res, i, "now"));
    result_free(&res);
    return ok;
}

bool
guard_save_seals(struct session *s, const struct job_state *job, struct string_list *seals, bool *same,
                 struct error *err)
{
    struct result res = {0};
    bool ok =
        session_execute(s, err, "BEGIN ISOLATION LEVEL REPEATABLE READ") && read_seals(s, job, &res, err);

    *same = ok && result_rows(&res) == job->table_count && seals->count == job->table_count;
    for (int i = 0; *same && i < result_rows(&res); i++)
        *same = strcmp(seals->items[i], row_text(&res, i, "now")) == 0;
    ok = ok && (!*same || guard_seal(s, job, err)) && session_commit(s, err);
    if (!ok)
        session_rollback(s);
    result_free(&res);
    list_free(seals);
    return ok;
}

void
guard_add_seal(struct pipeline *p, const struct job_state *job)
{
    struct params params = fence_params(job);

    pipeline_add_prepared_with(p, STATEMENT_SEAL, &params);
}

void
guard_add_move(struct pipeline *p, const struct job_state *job, const char *before, const char *active,
               const char *inactive, uint32_t inactive_oid)
{
    struct params params = guard_params(job, before, inactive, inactive_oid);
    char *drop = mem_printf("DROP TRIGGER IF EXISTS pgrecast_guard ON %s", active);
    char *create = guard_create(job, inactive), *enable = guard_enable(inactive);

    pipeline_add(p, drop);
    pipeline_add(p, create);
    pipeline_add(p, enable);
    pipeline_add_prepared_with(p, STATEMENT_GUARD, &params);
    free(drop);
    free(create);
    free(enable);
}
