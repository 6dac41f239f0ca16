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

#define GUARD_EVENT "CREATE TRIGGER pgrecast_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON "

/* The trigger also fires in sessions that have turned triggers off (session_replication_role). */
static char *
guard_function(const struct job_state *job)
{
    struct buffer sql = {0}, word = {0};

    buffer_printf(&sql, " FOR EACH STATEMENT EXECUTE FUNCTION pgrecast.guard('%" PRId64 "', ", job->id);
    buffer_add_literal(&sql, job->name);
    command_add_word(&word, job->name);
    buffer_add_text(&sql, ", ");
    buffer_add_literal(&sql, word.data);
    buffer_add_char(&sql, ')');
    buffer_free(&word);
    return buffer_take(&sql);
}

static char *
guard_create(const struct job_state *job, const char *table_sql)
{
    char *function = guard_function(job);
    char *sql = mem_printf(GUARD_EVENT "%s%s", table_sql, function);

    free(function);
    return sql;
}

static char *
guard_enable(const char *table_sql)
{
    return mem_printf("ALTER TABLE %s ENABLE ALWAYS TRIGGER pgrecast_guard", table_sql);
}

/*
 * The same for each partition of a partitioned table: a statement that names a partition fires only the triggers of
 * that. Partitions may have been added since the table was made.
 */
static char *
guard_each_partition(const char *table_sql, const char *before, const char *after, const char *then)
{
    struct buffer body = {0}, sql = {0};

    buffer_add_text(&body,
                    "DECLARE part pg_catalog.regclass; BEGIN FOR part IN WITH RECURSIVE part (oid) AS ("
                    "SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = ");
    buffer_add_literal(&body, table_sql);
    buffer_add_text(&body,
                    "::pg_catalog.regclass UNION ALL SELECT i.inhrelid FROM part AS p JOIN "
                    "pg_catalog.pg_inherits AS i ON i.inhparent = p.oid) SELECT oid FROM part LOOP EXECUTE ");
    buffer_add_literal(&body, before);
    buffer_add_text(&body, " || part || ");
    buffer_add_literal(&body, after);
    if (then != NULL) {
        buffer_add_text(&body, "; EXECUTE 'ALTER TABLE ' || part || ");
        buffer_add_literal(&body, then);
    }
    buffer_add_text(&body, "; END LOOP; END");
    buffer_add_text(&sql, "DO ");
    buffer_add_literal(&sql, body.data);
    buffer_free(&body);
    return buffer_take(&sql);
}

static char *
guard_create_parts(const struct job_state *job, const char *table_sql)
{
    char *function = guard_function(job);
    char *sql =
        guard_each_partition(table_sql, GUARD_EVENT, function, " ENABLE ALWAYS TRIGGER pgrecast_guard");

    free(function);
    return sql;
}

static char *
guard_drop_parts(const char *table_sql)
{
    return guard_each_partition(table_sql, "DROP TRIGGER IF EXISTS pgrecast_guard ON ", "", NULL);
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
guard_set(struct session *s, const struct job_state *job, int table, const struct guarded *on,
          struct error *err)
{
    struct params p = guard_params(job, on->sql, on->sql, job_other_oid(job, table));
    char *create = guard_create(job, on->sql), *enable = guard_enable(on->sql),
         *parts = guard_create_parts(job, on->sql);
    bool ok = session_execute(s, err, create) && session_execute(s, err, enable) &&
              (!on->partitioned || session_execute(s, err, parts)) &&
              fence_run(s, NULL, err, state_sql_guard_made, &p);

    free(create);
    free(parts);
    free(enable);
    return ok ? true : error_context(err, "setting the guard of %s", on->sql);
}

bool
guard_renew(struct session *s, const struct job_state *job, int table, const struct guarded *on,
            struct error *err)
{
    char *parts = guard_drop_parts(on->sql);
    bool ok = session_executef(s, err, "DROP TRIGGER IF EXISTS pgrecast_guard ON %s", on->sql) &&
              (!on->partitioned || session_execute(s, err, parts)) && guard_set(s, job, table, on, err);

    free(parts);
    return ok;
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

/* An inactive table that was opened comes before partitions that were changed. */
struct guard_breach
guard_judge(const struct job_state *job, const struct result *res)
{
    struct guard_breach breach = {.table = -1};
    int rows = result_rows(res);

    for (int i = 0; i < rows; i++) {
        if (row_int(res, i, "number") != i + 1 ||
            (!row_bool(res, i, "partitions") &&
             (row_null(res, i, "kept") || strcmp(row_text(res, i, "kept"), row_text(res, i, "now")) != 0)))
            return (struct guard_breach){.table = i};
        if (breach.table < 0 && strcmp(row_text(res, i, "kept"), row_text(res, i, "now")) != 0)
            breach = (struct guard_breach){.table = i, .partitions = true};
    }
    return rows == job->table_count ? breach : (struct guard_breach){.table = rows};
}

bool
guard_read_seals(struct session *s, const struct job_state *job, struct guard_breach *breach,
                 struct error *err)
{
    struct result res = {0};
    bool ok = read_seals(s, job, &res, err);

    *breach = ok ? guard_judge(job, &res) : (struct guard_breach){.table = -1};
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
guard_add_move(struct pipeline *p, const struct job_state *job, const char *before,
               const struct guarded *active, const struct guarded *inactive, uint32_t inactive_oid)
{
    struct params params = guard_params(job, before, inactive->sql, inactive_oid);
    char *drop = mem_printf("DROP TRIGGER IF EXISTS pgrecast_guard ON %s", active->sql);
    char *create = guard_create(job, inactive->sql), *enable = guard_enable(inactive->sql);
    char *drop_parts = guard_drop_parts(active->sql), *create_parts = guard_create_parts(job, inactive->sql);

    pipeline_add(p, drop);
    if (active->partitioned)
        pipeline_add(p, drop_parts);
    pipeline_add(p, create);
    pipeline_add(p, enable);
    if (inactive->partitioned)
        pipeline_add(p, create_parts);
    pipeline_add_prepared_with(p, STATEMENT_GUARD, &params);
    free(drop);
    free(create);
    free(enable);
    free(drop_parts);
    free(create_parts);
}
