#include "state/job.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/command.h"
#include "core/mem.h"
#include "fence.h"
#include "pg/sqlstate.h"
#include "statements.h"

#define HOST_SIZE 256
#define LOCK_SOON_MS                                                                                         \
    3000 /* the server ends the session of an instance a moment after the instance itself has ended */
#define LOCK_POLL_MS 50

static const char *const phase_names[] = {"init",        "copy",     "index",   "catchup",
                                          "verify",      "ready",    "cutover", "reverse",
                                          "rolled_back", "finished", "aborted", "failed"};

const char *
job_phase_name(enum job_phase phase)
{
    return phase_names[phase];
}

static bool
parse_phase(const char *name, enum job_phase *phase, struct error *err)
{
    for (size_t i = 0; i < sizeof(phase_names) / sizeof(phase_names[0]); i++) {
        if (strcmp(phase_names[i], name) == 0) {
            *phase = (enum job_phase)i;
            return true;
        }
    }
    return error_set(err, ERROR_FAILED, "the job is in a phase that this program does not know: \"%s\"",
                     name);
}

bool
job_is_reversed(const struct job_state *job)
{
    return job->swaps % 2 == 1;
}

lsn_t
job_applied(const struct job_state *job)
{
    lsn_t least = job->tables[0].applied;

    for (int i = 1; i < job->table_count; i++)
        least = job->tables[i].applied < least ? job->tables[i].applied : least;
    return least;
}

uint32_t
job_active_oid(const struct job_state *job, int table)
{
    return job_is_reversed(job) ? job->tables[table].shadow_oid : job->tables[table].source_oid;
}

uint32_t
job_other_oid(const struct job_state *job, int table)
{
    return job_is_reversed(job) ? job->tables[table].source_oid : job->tables[table].shadow_oid;
}

void
job_state_clear(struct job_state *job)
{
    for (int i = 0; i < job->table_count; i++) {
        free(job->tables[i].schema_name);
        free(job->tables[i].table_name);
        free(job->tables[i].fingerprint);
        free(job->tables[i].definition);
        free(job->tables[i].active_fingerprint);
        free(job->tables[i].active_definition);
        free(job->tables[i].other_fingerprint);
        free(job->tables[i].other_definition);
        free(job->tables[i].other_versions);
    }
    free(job->tables);
    free(job->published);
    free(job->held);
    free(job->held_changes);
    free(job->back_publication_name);
    free(job->host);
    free(job->window_ends);
    free(job->plan);
    free(job->options);
    free(job->settings);
    free(job->name);
    free(job->schema_name);
    free(job->table_name);
    free(job->sql);
    free(job->system_identifier);
    free(job->slot_name);
    free(job->publication_name);
    free(job->spool_directory);
    memset(job, 0, sizeof(*job));
}

struct params
fence_params(const struct job_state *job)
{
    struct params p = {0};

    params_int(&p, job->id);
    params_int(&p, job->instance);
    return p;
}

bool
fence_replaced(struct error *err)
{
    error_set(err, ERROR_FAILED, "another instance has taken over the job");
    memcpy(err->sqlstate, JOB_LOCKED, sizeof(err->sqlstate));
    return false;
}

bool
fence_run(struct session *s, struct result *out, struct error *err, const char *sql, const struct params *p)
{
    struct result own = {0}, *res = out != NULL ? out : &own;
    bool ok = session_query_with(s, res, err, sql, p) && (result_affected(res) > 0 || fence_replaced(err));

    result_free(&own);
    return ok;
}

static bool
lock_once(struct session *s, const struct job_state *job, struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    bool ok;

    params_int(&p, JOB_LOCK_CLASS);
    params_int(&p, job->id);
    ok = session_row_with(
        s, &res, err,
        "SELECT pg_catalog.pg_try_advisory_lock($1::pg_catalog.int4, $2::pg_catalog.int4) AS locked", &p);
    if (ok && !row_bool(&res, 0, "locked")) {
        ok = error_set(err, ERROR_FAILED, "another instance is running job \"%s\"", job->name);
        error_hint(err, "See what it does with: " COMMAND("status"), job->name);
        memcpy(err->sqlstate, JOB_LOCKED, sizeof(err->sqlstate));
    }
    result_free(&res);
    return ok;
}

bool
job_state_lock(struct session *s, const struct job_state *job, struct error *err)
{
    int64_t until = clock_ms() + LOCK_SOON_MS;

    while (!lock_once(s, job, err)) {
        if (!sqlstate_is(err, JOB_LOCKED) || clock_ms() > until || !clock_sleep(LOCK_POLL_MS))
            return false;
        error_clear(err);
    }
    return true;
}

bool
job_state_find_locks(struct session *s, const struct job_state *job, struct job_locks *locks,
                     struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    bool ok;

    params_int(&p, job->id);
    params_int(&p, JOB_LOCK_CLASS);
    params_int(&p, JOB_READY_CLASS);
    params_int(&p, JOB_BEGIN_CLASS);
    params_text(&p, job->name);
    ok = session_row_with(s, &res, err, state_sql_job_running, &p);
    locks->taken = ok && row_bool(&res, 0, "taken");
    locks->ready = ok && row_bool(&res, 0, "ready");
    locks->recent = ok && row_bool(&res, 0, "recent");
    locks->begins = ok && row_bool(&res, 0, "begins");
    result_free(&res);
    return ok;
}

static bool
insert_job(struct session *s, struct job_state *job, struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    char host[HOST_SIZE] = "";
    bool ok;

    gethostname(host, sizeof(host) - 1);
    params_text(&p, job->slot_name);
    params_text(&p, job->publication_name);
    params_text(&p, job->back_publication_name);
    params_text(&p, job->system_identifier);
    params_int(&p, job->timeline);
    params_text(&p, host);
    params_text(&p, job->spool_directory);
    params_int(&p, JOB_FORMAT);
    params_text(&p, job->name);
    params_text(&p, job->schema_name);
    params_text(&p, job->table_name);
    params_text(&p, job->sql);
    params_text(&p, job->options);
    params_int(&p, getpid());
    params_text(&p, job->plan);
    params_text(&p, job->settings);
    ok = session_row_with(s, &res, err, state_sql_job_create, &p);
    if (ok) {
        job->id = row_int(&res, 0, "id");
        job->instance = row_int(&res, 0, "instance");
        job->stream_id = row_int(&res, 0, "stream_id");
        job->phase = PHASE_INIT;
    }
    result_free(&res);
    return ok;
}

static bool
insert_table(struct session *s, const struct job_state *job, int table, struct error *err)
{
    const struct job_table *t = &job->tables[table];
    struct params p = {0};

    params_int(&p, job->id);
    params_int(&p, table + 1);
    params_text(&p, t->schema_name);
    params_text(&p, t->table_name);
    params_uint(&p, t->source_oid);
    params_text(&p, t->fingerprint);
    params_text(&p, t->definition);
    return session_query_with(s, NULL, err, state_sql_job_table_add, &p);
}

/* A job of the same name that has ended is a record. One that has not is the reason to refuse. */
static bool
refuse_open(struct session *s, const struct job_state *job, struct error *err)
{
    struct result res = {0};
    bool ok = session_query(
        s, &res, err, "SELECT phase FROM pgrecast.job WHERE name = $1 AND ended_at IS NULL", 1, job->name);

    if (ok && result_rows(&res) > 0) {
        ok = error_set(err, ERROR_REFUSED, "there is a job \"%s\" already, in phase %s", job->name,
                       row_text(&res, 0, "phase"));
        error_hint(err,
                   "See it with: " COMMAND("status") "; to continue, run: " COMMAND(
                       "resume") "; or name another with --job.",
                   job->name, job->name);
    }
    result_free(&res);
    return ok;
}

static bool
lock_ready(struct session *s, const struct job_state *job, struct error *err)
{
    return session_executef(s, err,
                            "SELECT pg_catalog.pg_advisory_lock_shared(%d, %" PRId64 "::pg_catalog.int4)",
                            JOB_READY_CLASS, job->id);
}

bool
job_state_create(struct session *s, struct job_state *job, struct error *err)
{
    bool ok = session_execute(s, err, "BEGIN") &&
              session_executef(s, err, "SELECT pg_catalog.pg_advisory_xact_lock(%d, 0)", JOB_LOCK_CLASS) &&
              refuse_open(s, job, err) && insert_job(s, job, err);

    for (int i = 0; ok && i < job->table_count; i++)
        ok = insert_table(s, job, i, err);
    ok = ok && job_state_lock(s, job, err) && lock_ready(s, job, err) && session_commit(s, err);
    if (!ok)
        session_rollback(s);
    return ok;
}

static void
job_take_row(struct job_state *job, const struct result *r)
{
    job->id = row_int(r, 0, "id");
    job->name = row_copy(r, 0, "name");
    job->schema_name = row_copy(r, 0, "schema_name");
    job->table_name = row_copy(r, 0, "table_name");
    job->sql = row_copy(r, 0, "sql");
    job->stream_id = row_int(r, 0, "stream_id");
    job->system_identifier = row_copy(r, 0, "system_identifier");
    job->database_oid = row_null(r, 0, "database_oid") ? 0 : (uint32_t)row_int(r, 0, "database_oid");
    job->here = row_bool(r, 0, "here");
    job->timeline = (int)row_int(r, 0, "timeline");
    job->slot_name = row_copy(r, 0, "slot_name");
    job->publication_name = row_copy(r, 0, "publication_name");
    job->back_publication_name = row_copy(r, 0, "back_publication_name");
    job->spool_directory = row_copy(r, 0, "spool_directory");
    job->host = row_copy(r, 0, "host");
    job->start = row_lsn(r, 0, "start_lsn");
    job->barrier = row_lsn(r, 0, "barrier_lsn");
    job->exact = row_lsn(r, 0, "exact_lsn");
    job->plan = row_copy(r, 0, "plan");
    job->options = row_copy(r, 0, "options");
    job->settings = row_copy(r, 0, "settings");
    job->instance = row_int(r, 0, "instance");
    job->swaps = (int)row_int(r, 0, "swaps");
    job->ended = row_bool(r, 0, "ended");
    job->x0 = row_uint(r, 0, "x0");
    job->shadow_complete = row_bool(r, 0, "shadow_complete");
    job->swap_xid = row_uint(r, 0, "swap_xid");
    job->swap_lsn = row_lsn(r, 0, "swap_lsn");
    job->published = row_copy(r, 0, "published");
    job->held = row_copy(r, 0, "held");
    job->held_changes = row_copy(r, 0, "held_changes");
    job->held_for_good = row_bool(r, 0, "held_for_good");
    job->window_s = row_null(r, 0, "window_seconds") ? -1 : row_real(r, 0, "window_seconds");
    if (!row_null(r, 0, "window_seconds") && job->window_s < 0) /* the window has ended */
        job->window_s = 0;
    job->mismatches = row_int(r, 0, "mismatches");
    job->window_ends = row_copy(r, 0, "window_ends");
}

static bool
read_tables(struct session *s, struct job_state *job, struct error *err)
{
    struct result r = {0};
    struct params p = {0};
    bool ok;

    params_int(&p, job->id);
    ok = session_query_with(s, &r, err, state_sql_job_tables, &p);
    /* The record of a job of an older format may have no tables. */
    if (ok && result_rows(&r) == 0 && !job->ended)
        ok =
            error_set(err, ERROR_FAILED, "the tables of job \"%s\" are not in pgrecast.job_table", job->name);
    if (ok)
        job->tables = mem_alloc((size_t)result_rows(&r) * sizeof(*job->tables));
    for (int i = 0; ok && i < result_rows(&r); i++)
        job->tables[job->table_count++] = (struct job_table){
            .schema_name = row_copy(&r, i, "schema_name"),
            .table_name = row_copy(&r, i, "table_name"),
            .source_oid = (uint32_t)row_int(&r, i, "source_oid"),
            .shadow_oid = (uint32_t)row_int(&r, i, "shadow_oid"),
            .fingerprint = row_copy(&r, i, "fingerprint"),
            .copied_filenode = (uint32_t)row_int(&r, i, "copied_filenode"),
            .definition = row_copy(&r, i, "definition"),
            .active_fingerprint = row_copy(&r, i, "active_fingerprint"),
            .active_definition = row_copy(&r, i, "active_definition"),
            .other_fingerprint = row_copy(&r, i, "other_fingerprint"),
            .other_definition = row_copy(&r, i, "other_definition"),
            .other_versions = row_copy(&r, i, "other_versions"),
            .applied = row_lsn(&r, i, "applied_lsn"),
        };
    result_free(&r);
    return ok;
}

bool
job_state_missing(const char *name, int64_t record, struct error *err)
{
    if (record > 0)
        error_set(err, ERROR_USAGE, "there is no record %" PRId64 " of a job \"%s\" in this database", record,
                  name);
    else
        error_set(err, ERROR_USAGE, "there is no job \"%s\" in this database", name);
    return error_hint(err, "List the jobs with: " COMMAND_PLAIN("jobs --all"));
}

static bool
refuse_format(const char *name, int64_t format, struct error *err)
{
    error_set(err, ERROR_FAILED, "job \"%s\" was made by %s version of pgrecast (format %" PRId64 ", not %d)",
              name, format < JOB_FORMAT ? "an older" : "a newer", format, JOB_FORMAT);
    error_hint(err, "Use that version, or remove the job with: " COMMAND("abort"), name);
    memcpy(err->sqlstate, JOB_OTHER_FORMAT, sizeof(err->sqlstate));
    return false;
}

/* Read the format first, and alone: in a job of another format the other columns may have another meaning. */
static bool
read_format(struct session *s, const char *name, int64_t *format, struct error *err)
{
    struct result res = {0};
    bool ok = session_query(
                  s, &res, err,
                  "SELECT format FROM pgrecast.job WHERE name = $1 ORDER BY ended_at IS NOT NULL, id DESC "
                  "LIMIT 1",
                  1, name) &&
              (result_rows(&res) > 0 || job_state_missing(name, 0, err));

    *format = ok ? row_int(&res, 0, "format") : 0;
    result_free(&res);
    return ok;
}

static bool
read_row(struct session *s, const char *name, struct job_state *job, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(s, &res, err, state_sql_job_read, 1, name) &&
              parse_phase(row_text(&res, 0, "phase"), &job->phase, err);

    if (ok) {
        job_take_row(job, &res);
        ok = read_tables(s, job, err);
        if (!ok)
            job_state_clear(job);
    }
    result_free(&res);
    return ok;
}

bool
job_state_read(struct session *s, const char *name, struct job_state *job, struct error *err)
{
    int64_t format;

    memset(job, 0, sizeof(*job));
    return read_format(s, name, &format, err) && (format == JOB_FORMAT || refuse_format(name, format, err)) &&
           read_row(s, name, job, err);
}

static bool
refuse_swapped(const char *name, struct error *err)
{
    return error_set(err, ERROR_FAILED,
                     "job \"%s\" was made by another version of pgrecast and has cut over: use that one",
                     name);
}

bool
job_state_read_any(struct session *s, const char *name, struct job_state *job, struct error *err)
{
    int64_t format;

    memset(job, 0, sizeof(*job));
    return read_format(s, name, &format, err) && read_row(s, name, job, err) &&
           (format == JOB_FORMAT || job->ended || job->swaps == 0 || refuse_swapped(name, err));
}

bool
job_state_read_older(struct session *s, const char *name, struct job_state *job, struct error *err)
{
    struct result res = {0};
    bool ok;

    memset(job, 0, sizeof(*job));
    ok = session_query(s, &res, err, state_sql_old_job, 1, name) &&
         (result_rows(&res) > 0 || job_state_missing(name, 0, err));
    if (ok && row_bool(&res, 0, "swapped") && !row_bool(&res, 0, "ended"))
        ok = refuse_swapped(name, err);
    if (ok) {
        job->id = row_int(&res, 0, "id");
        job->ended = row_bool(&res, 0, "ended");
        job->name = mem_strdup(name);
    }
    result_free(&res);
    return ok;
}

bool
job_state_end_older(struct session *s, struct job_state *job, struct error *err)
{
    struct params p = {0};

    params_int(&p, job->id);
    if (!session_query_with(s, NULL, err, state_sql_old_end, &p))
        return false;
    job->ended = true;
    return true;
}

bool
job_state_take(struct session *s, struct job_state *job, bool again, struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    bool ok;

    params_int(&p, job->id);
    params_bool(&p, again);
    ok = session_row_with(s, &res, err, state_sql_job_take, &p);
    if (ok)
        job->instance = row_int(&res, 0, "instance");
    result_free(&res);
    return ok && lock_ready(s, job, err);
}

bool
job_state_set_phase(struct session *s, struct job_state *job, enum job_phase phase, struct error *err)
{
    struct params p = fence_params(job);

    params_text(&p, job_phase_name(phase));
    if (!fence_run(s, NULL, err, state_sql_job_phase, &p))
        return false;
    job->phase = phase;
    return true;
}

bool
job_state_save_start(struct session *s, const struct job_state *job, struct error *err)
{
    struct params p = fence_params(job);

    params_lsn(&p, job->start);
    params_uint(&p, job->x0);
    params_lsn(&p, job->barrier);
    params_lsn(&p, job->exact);
    params_int(&p, job->timeline);
    return fence_run(s, NULL, err, state_sql_job_start, &p);
}

bool
job_state_save_table(struct session *s, const struct job_state *job, int table, struct error *err)
{
    const struct job_table *t = &job->tables[table];
    struct params p = fence_params(job);

    params_int(&p, table + 1);
    if (t->shadow_oid != 0)
        params_uint(&p, t->shadow_oid);
    else
        params_null(&p);
    params_uint(&p, t->copied_filenode);
    return fence_run(s, NULL, err, state_sql_job_table_save, &p);
}

bool
job_state_save_definitions(struct session *s, const struct job_state *job, int table, struct error *err)
{
    const struct job_table *t = &job->tables[table];
    struct params p = fence_params(job);

    params_int(&p, table + 1);
    params_text(&p, t->active_fingerprint);
    params_text(&p, t->active_definition);
    params_text(&p, t->other_fingerprint);
    params_text(&p, t->other_definition);
    params_text(&p, t->fingerprint);
    params_text(&p, t->definition);
    return fence_run(s, NULL, err, state_sql_job_table_definitions, &p);
}

bool
job_state_save_complete(struct session *s, const struct job_state *job, struct error *err)
{
    struct params p = fence_params(job);

    return fence_run(s, NULL, err,
                     "UPDATE pgrecast.job SET shadow_complete = true WHERE id = $1 AND instance = $2", &p);
}

bool
job_state_save_host(struct session *s, const struct job_state *job, struct error *err)
{
    struct params p = fence_params(job);
    char host[HOST_SIZE] = "";

    gethostname(host, sizeof(host) - 1);
    params_text(&p, host);
    params_int(&p, getpid());
    params_text(&p, job->spool_directory);
    return fence_run(s, NULL, err, state_sql_job_host, &p);
}

bool
job_state_save_options(struct session *s, struct job_state *job, const char *options, struct error *err)
{
    struct params p = fence_params(job);

    params_text(&p, options);
    return fence_run(s, NULL, err, "UPDATE pgrecast.job SET options = $3 WHERE id = $1 AND instance = $2",
                     &p);
}

bool
job_state_save_plan(struct session *s, struct job_state *job, const char *plan, struct error *err)
{
    struct params p = fence_params(job);

    params_text(&p, plan);
    if (!fence_run(s, NULL, err, state_sql_job_plan, &p))
        return false;
    free(job->plan);
    job->plan = mem_strdup(plan);
    return true;
}

bool
job_state_save_error(struct session *s, const struct job_state *job, const struct error *reason,
                     struct error *err)
{
    struct params p = fence_params(job);
    char *text = mem_printf("%s%s%s", reason->message, reason->detail != NULL ? "\n" : "",
                            reason->detail != NULL ? reason->detail : "");
    bool ok;

    params_text(&p, text);
    ok = fence_run(s, NULL, err, state_sql_job_error, &p);
    free(text);
    return ok;
}

bool
job_state_hold(struct session *s, struct job_state *job, const char *message, const char *changes,
               bool for_good, struct error *err)
{
    struct params p = fence_params(job);

    params_text(&p, message);
    params_text(&p, changes);
    params_bool(&p, for_good);
    if (!fence_run(s, NULL, err, state_sql_job_hold, &p))
        return false;
    free(job->held);
    free(job->held_changes);
    job->held = message != NULL ? mem_strdup(message) : NULL;
    job->held_changes = changes != NULL ? mem_strdup(changes) : NULL;
    job->held_for_good = for_good;
    return true;
}

bool
job_state_end(struct session *s, struct job_state *job, enum job_phase phase, const char *message,
              struct error *err)
{
    struct params p = fence_params(job);

    params_text(&p, job_phase_name(phase));
    params_text(&p, message);
    if (!fence_run(s, NULL, err, state_sql_job_end, &p))
        return false;
    job->phase = phase;
    job->ended = true;
    return true;
}
