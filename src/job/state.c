#include "job/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "sql/sql.h"

#define UPDATE_MOST 6       /* values of one update of the job's row */
#define BACK_SUFFIX "_back" /* of the publication's name */

/* Prepared statements of a swap. */
#define STATEMENT_SWAP "pgrecast_swap"
#define STATEMENT_SERVING "pgrecast_serving"
#define STATEMENT_OTHER "pgrecast_other"

/* The count of the values and an array of them. */
#define VALUES(...)                                                                                          \
    (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)), (const char *const[])          \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }

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
job_is_turned(const struct job_state *job)
{
    return job->leg % 2 == 1;
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
job_serving_oid(const struct job_state *job, int table)
{
    return job_is_turned(job) ? job->tables[table].shadow_oid : job->tables[table].source_oid;
}

uint32_t
job_other_oid(const struct job_state *job, int table)
{
    return job_is_turned(job) ? job->tables[table].source_oid : job->tables[table].shadow_oid;
}

void
job_state_clear(struct job_state *job)
{
    for (int i = 0; i < job->table_count; i++) {
        free(job->tables[i].schema_name);
        free(job->tables[i].table_name);
        free(job->tables[i].fingerprint);
        free(job->tables[i].serving_fingerprint);
    }
    free(job->tables);
    free(job->back_publication_name);
    free(job->host);
    free(job->plan);
    free(job->options);
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

/* What a job of another version keeps would no longer be where that one looks for it. */
static bool
refuse_older_jobs(struct session *s, struct error *err)
{
    struct result res = {0};
    char format[16];
    bool ok;

    snprintf(format, sizeof(format), "%d", JOB_FORMAT);
    ok = session_query(s, &res, err,
                       "SELECT name FROM pgrecast.job WHERE format < $1 AND ended_at IS NULL ORDER BY id", 1,
                       format);
    if (ok && result_rows(&res) > 0) {
        const char *name = result_text(&res, 0, 0);

        ok = error_set(err, ERROR_REFUSED,
                       "job \"%s\" was made by an older version of pgrecast and is not over", name);
        error_hint(err,
                   "Bring it to its end with that version, or remove it, if it has not cut over, with: "
                   "pgrecast abort %s",
                   name);
    }
    result_free(&res);
    return ok;
}

/* The lock that it takes on the table of jobs is only asked for where it must be. */
static bool
upgrade(struct session *s, struct error *err)
{
    struct result res = {0};
    bool ok =
        session_row(s, &res, err,
                    "SELECT pg_catalog.count(*) = 4 FROM pg_catalog.pg_attribute WHERE NOT attisdropped AND "
                    "(attrelid = 'pgrecast.job'::pg_catalog.regclass AND attname = 'reverse_maps' "
                    "OR attrelid IN ('pgrecast.position'::pg_catalog.regclass, "
                    "'pgrecast.chunk'::pg_catalog.regclass, 'pgrecast.blocked'::pg_catalog.regclass) AND "
                    "attname = 'table_number')",
                    0);

    ok = ok &&
         (result_bool(&res, 0, 0) || (refuse_older_jobs(s, err) && session_execute(s, err, sql_job_upgrade)));
    result_free(&res);
    return ok;
}

bool
job_state_install(struct session *s, struct error *err)
{
    /* CREATE … IF NOT EXISTS of two sessions at once can still collide: one after the other. */
    bool ok = session_execute(s, err, "BEGIN; SET LOCAL client_min_messages = warning") &&
              session_executef(s, err, "SELECT pg_catalog.pg_advisory_xact_lock(%d, 0)", JOB_LOCK_CLASS) &&
              session_execute(s, err, sql_job_schema) && upgrade(s, err) && session_execute(s, err, "COMMIT");

    if (!ok) {
        session_rollback(s);
        if (err->kind != ERROR_REFUSED)
            error_context(err, "creating the job state in schema pgrecast");
    }
    return ok;
}

static void
id_text(const struct job_state *job, char out[24])
{
    snprintf(out, 24, "%" PRId64, job->id);
}

bool
job_state_lock(struct session *s, const struct job_state *job, struct error *err)
{
    struct result res = {0};
    char class[16], id[24];
    bool ok;

    snprintf(class, sizeof(class), "%d", JOB_LOCK_CLASS);
    id_text(job, id);
    ok = session_row(s, &res, err,
                     "SELECT pg_catalog.pg_try_advisory_lock($1::pg_catalog.int4, $2::pg_catalog.int4)", 2,
                     class, id);
    if (ok && !result_bool(&res, 0, 0)) {
        ok = error_set(err, ERROR_FAILED, "another instance is running job \"%s\"", job->name);
        error_hint(err, "See what it does with: pgrecast status %s", job->name);
        memcpy(err->sqlstate, JOB_LOCKED, sizeof(err->sqlstate));
    }
    result_free(&res);
    return ok;
}

static bool
insert_job(struct session *s, struct job_state *job, struct error *err)
{
    struct result res = {0};
    char format[16], timeline[16], pid[16], host[256] = "";
    bool ok;

    snprintf(format, sizeof(format), "%d", JOB_FORMAT);
    snprintf(timeline, sizeof(timeline), "%d", job->timeline);
    snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    gethostname(host, sizeof(host) - 1);
    ok = session_row(
        s, &res, err,
        "INSERT INTO pgrecast.job (format, name, phase, schema_name, table_name, sql, system_identifier, "
        "timeline, slot_name, publication_name, host, pid, spool_directory, plan, options) "
        "VALUES ($1, $2, 'init', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING id, instance",
        14, format, job->name, job->schema_name, job->table_name, job->sql, job->system_identifier, timeline,
        job->slot_name, job->publication_name, host, pid, job->spool_directory, job->plan, job->options);
    if (ok) {
        job->id = result_int(&res, 0, 0);
        job->instance = result_int(&res, 0, 1);
        job->phase = PHASE_INIT;
    }
    result_free(&res);
    return ok;
}

static bool
insert_tables(struct session *s, const struct job_state *job, struct error *err)
{
    char id[24], number[16], oid[16];
    bool ok = true;

    id_text(job, id);
    for (int i = 0; ok && i < job->table_count; i++) {
        const struct job_table *t = &job->tables[i];

        snprintf(number, sizeof(number), "%d", i + 1);
        snprintf(oid, sizeof(oid), "%" PRIu32, t->source_oid);
        ok = session_query(s, NULL, err, sql_job_table_add, 6, id, number, t->schema_name, t->table_name, oid,
                           t->fingerprint);
    }
    return ok;
}

/* A job of the same name: gone when it has ended, else in the way. */
static bool
replace_ended(struct session *s, const struct job_state *job, struct error *err)
{
    struct result res = {0};
    bool ok = session_query(s, NULL, err, "DELETE FROM pgrecast.job WHERE name = $1 AND ended_at IS NOT NULL",
                            1, job->name) &&
              session_query(s, &res, err, "SELECT phase FROM pgrecast.job WHERE name = $1", 1, job->name);

    if (ok && result_rows(&res) > 0) {
        ok = error_set(err, ERROR_REFUSED, "there is a job \"%s\" already, in phase %s", job->name,
                       result_text(&res, 0, 0));
        error_hint(err,
                   "See it with: pgrecast status %s; go on with: pgrecast resume %s; or name another with "
                   "--job.",
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
    char id[24];
    bool ok = session_execute(s, err, "BEGIN") &&
              session_executef(s, err, "SELECT pg_catalog.pg_advisory_xact_lock(%d, 0)", JOB_LOCK_CLASS) &&
              replace_ended(s, job, err) && insert_job(s, job, err);

    id_text(job, id);
    ok = ok && session_query(s, NULL, err, "INSERT INTO pgrecast.progress (job_id) VALUES ($1)", 1, id) &&
         insert_tables(s, job, err) && job_state_lock(s, job, err) && lock_ready(s, job, err) &&
         session_execute(s, err, "COMMIT");
    if (!ok)
        session_rollback(s);
    return ok;
}

static void
take_row(struct job_state *job, const struct result *r)
{
    int col = 0;

    job->id = result_int(r, 0, col++);
    job->name = mem_strdup(result_text(r, 0, col++));
    col++; /* the phase */
    job->schema_name = mem_strdup(result_text(r, 0, col++));
    job->table_name = mem_strdup(result_text(r, 0, col++));
    job->sql = mem_strdup(result_text(r, 0, col++));
    job->system_identifier = mem_strdup(result_text(r, 0, col++));
    job->timeline = (int)result_int(r, 0, col++);
    job->slot_name = mem_strdup(result_text(r, 0, col++));
    job->publication_name = mem_strdup(result_text(r, 0, col++));
    job->spool_directory = mem_strdup(result_text(r, 0, col++));
    job->barrier = result_lsn(r, 0, col++);
    job->exact = result_lsn(r, 0, col++);
    job->host = mem_strdup(result_text(r, 0, col++));
    job->plan = mem_strdup(result_text(r, 0, col++));
    job->options = mem_strdup(result_text(r, 0, col++));
    job->instance = result_int(r, 0, col++);
    job->leg = (int)result_int(r, 0, col++);
    job->ended = result_bool(r, 0, col++);
    job->start = result_lsn(r, 0, col++);
    job->x0 = (uint64_t)result_int(r, 0, col++);
    job->shadow_complete = result_bool(r, 0, col++);
    job->swap_xid = (uint64_t)result_int(r, 0, col++);
    job->swap_lsn = result_lsn(r, 0, col++);
    job->window_s = result_null(r, 0, col) ? -1 : strtod(result_text(r, 0, col), NULL);
    if (!result_null(r, 0, col) && job->window_s < 0) /* it has ended */
        job->window_s = 0;
    job->back_publication_name = mem_printf("%s" BACK_SUFFIX, job->publication_name);
}

static bool
read_tables(struct session *s, struct job_state *job, struct error *err)
{
    struct result r = {0};
    char id[24];
    bool ok;

    id_text(job, id);
    ok = session_query(s, &r, err, sql_job_tables, 1, id);
    if (ok && result_rows(&r) == 0)
        ok =
            error_set(err, ERROR_FAILED, "the tables of job \"%s\" are not in pgrecast.job_table", job->name);
    if (ok)
        job->tables = mem_alloc((size_t)result_rows(&r) * sizeof(*job->tables));
    for (int i = 0; ok && i < result_rows(&r); i++)
        job->tables[job->table_count++] = (struct job_table){
            .schema_name = mem_strdup(result_text(&r, i, 0)),
            .table_name = mem_strdup(result_text(&r, i, 1)),
            .source_oid = (uint32_t)result_int(&r, i, 2),
            .shadow_oid = (uint32_t)result_int(&r, i, 3),
            .fingerprint = mem_strdup(result_text(&r, i, 4)),
            .copied_filenode = (uint32_t)result_int(&r, i, 5),
            .serving_fingerprint = mem_strdup(result_text(&r, i, 6)),
            .applied = result_lsn(&r, i, 7),
        };
    result_free(&r);
    return ok;
}

/* First, and alone: a job of another format may lack the other columns. */
static bool
check_format(struct session *s, const char *name, struct error *err)
{
    struct result res = {0};
    bool ok = session_query(s, &res, err, "SELECT format FROM pgrecast.job WHERE name = $1", 1, name);

    if (ok && result_rows(&res) == 0) {
        ok = error_set(err, ERROR_USAGE, "there is no job \"%s\" in this database", name);
        error_hint(err, "List the jobs with: pgrecast jobs");
    }
    if (ok && result_int(&res, 0, 0) != JOB_FORMAT) {
        ok = error_set(err, ERROR_FAILED, "job \"%s\" was made by %s version of pgrecast (format %s, not %d)",
                       name, result_int(&res, 0, 0) < JOB_FORMAT ? "an older" : "a newer",
                       result_text(&res, 0, 0), JOB_FORMAT);
        error_hint(err, "Use that version, or remove the job with: pgrecast abort %s", name);
        memcpy(err->sqlstate, JOB_OTHER_FORMAT, sizeof(err->sqlstate));
    }
    result_free(&res);
    return ok;
}

bool
job_state_read(struct session *s, const char *name, struct job_state *job, struct error *err)
{
    struct result res = {0};
    bool ok;

    memset(job, 0, sizeof(*job));
    ok = check_format(s, name, err) && session_row(s, &res, err, sql_job_read, 1, name) &&
         parse_phase(result_text(&res, 0, 2), &job->phase, err);
    if (ok) {
        take_row(job, &res);
        ok = read_tables(s, job, err);
        if (!ok)
            job_state_clear(job);
    }
    result_free(&res);
    return ok;
}

bool
job_state_take(struct session *s, struct job_state *job, bool again, struct error *err)
{
    struct result res = {0};
    char id[24];
    bool ok;

    id_text(job, id);
    ok = session_row(s, &res, err, sql_job_take, 2, id, again ? "true" : "false");
    if (ok)
        job->instance = result_int(&res, 0, 0);
    result_free(&res);
    return ok && lock_ready(s, job, err);
}

static bool
refuse_replaced(struct error *err)
{
    error_set(err, ERROR_FAILED, "another instance has taken over the job");
    memcpy(err->sqlstate, JOB_LOCKED, sizeof(err->sqlstate));
    return false;
}

/*
 * Write the job's row as its instance: in the statement $1 is the job and $2 the instance, the values come
 * from $3 on. An instance that has been replaced is refused.
 */
static bool
update(struct session *s, const struct job_state *job, struct error *err, const char *sql, int count,
       const char *const *values)
{
    const char *params[2 + UPDATE_MOST];
    char id[24], instance[24];
    struct result res = {0};
    bool ok;

    id_text(job, id);
    snprintf(instance, sizeof(instance), "%" PRId64, job->instance);
    params[0] = id;
    params[1] = instance;
    memcpy(params + 2, values, (size_t)count * sizeof(*values));
    ok = session_query_params(s, &res, err, sql, 2 + count, params);
    ok = ok && (result_affected(&res) == 1 || refuse_replaced(err));
    result_free(&res);
    return ok;
}

bool
job_state_set_phase(struct session *s, struct job_state *job, enum job_phase phase, struct error *err)
{
    if (!update(s, job, err,
                "UPDATE pgrecast.job SET phase = $3, phase_since = pg_catalog.clock_timestamp() "
                "WHERE id = $1 AND instance = $2",
                VALUES(job_phase_name(phase))))
        return false;
    job->phase = phase;
    return true;
}

bool
job_state_save_start(struct session *s, const struct job_state *job, struct error *err)
{
    char x0[24], timeline[16];
    char start[LSN_TEXT_SIZE], barrier[LSN_TEXT_SIZE], exact[LSN_TEXT_SIZE];

    snprintf(x0, sizeof(x0), "%" PRIu64, job->x0);
    snprintf(timeline, sizeof(timeline), "%d", job->timeline);
    return update(s, job, err,
                  "UPDATE pgrecast.job SET start_lsn = $3, x0 = $4, barrier_lsn = $5, exact_lsn = $6, "
                  "timeline = $7 WHERE id = $1 AND instance = $2",
                  VALUES(lsn_format(job->start, start), x0, lsn_format(job->barrier, barrier),
                         lsn_format(job->exact, exact), timeline));
}

bool
job_state_save_table(struct session *s, const struct job_state *job, int table, struct error *err)
{
    const struct job_table *t = &job->tables[table];
    char number[16], shadow[16], filenode[16];

    snprintf(number, sizeof(number), "%d", table + 1);
    snprintf(shadow, sizeof(shadow), "%" PRIu32, t->shadow_oid);
    snprintf(filenode, sizeof(filenode), "%" PRIu32, t->copied_filenode);
    return update(s, job, err, sql_job_table_save,
                  VALUES(number, t->shadow_oid != 0 ? shadow : NULL, filenode));
}

bool
job_state_save_place(struct session *s, const struct job_state *job, struct error *err)
{
    char pid[16], host[256] = "";

    snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    gethostname(host, sizeof(host) - 1);
    return update(s, job, err,
                  "UPDATE pgrecast.job SET host = $3, pid = $4, spool_directory = $5 "
                  "WHERE id = $1 AND instance = $2",
                  VALUES(host, pid, job->spool_directory));
}

bool
job_state_save_options(struct session *s, struct job_state *job, const char *options, struct error *err)
{
    return update(s, job, err, "UPDATE pgrecast.job SET options = $3 WHERE id = $1 AND instance = $2",
                  VALUES(options));
}

bool
job_state_save_plan(struct session *s, struct job_state *job, const char *plan, struct error *err)
{
    if (!update(s, job, err,
                "UPDATE pgrecast.job SET plan = $3, reverse_maps = NULL WHERE id = $1 AND instance = $2",
                VALUES(plan)))
        return false;
    free(job->plan);
    job->plan = mem_strdup(plan);
    return true;
}

bool
job_state_prepare_swap(struct session *s, struct error *err)
{
    char *serving = mem_printf("UPDATE pgrecast.job_table SET serving_fingerprint = (%s) "
                               "WHERE job_id = $2 AND number = $3",
                               sql_catalog_fingerprint);
    bool ok = session_prepare(s, err, STATEMENT_SWAP, sql_job_swap) &&
              session_prepare(s, err, STATEMENT_SERVING, serving) &&
              session_prepare(s, err, STATEMENT_OTHER,
                              "UPDATE pgrecast.object SET name = $2, undo = $3 "
                              "WHERE job_id = $1 AND kind = 'table' AND name = $4");

    free(serving);
    return ok;
}

void
job_state_add_swap(struct pipeline *p, const struct job_state *job, enum job_phase phase, double window_s)
{
    char id[24], instance[24], window[32];

    id_text(job, id);
    snprintf(instance, sizeof(instance), "%" PRId64, job->instance);
    snprintf(window, sizeof(window), "%.3f s", window_s);
    pipeline_add_prepared(p, STATEMENT_SWAP, 4, id, instance, job_phase_name(phase),
                          window_s < 0 ? NULL : window);
}

bool
job_state_swap_saved(const struct result *res, struct error *err)
{
    return result_affected(res) == 1 || refuse_replaced(err);
}

void
job_state_add_serving(struct pipeline *p, const struct job_state *job, int table, uint32_t oid)
{
    char id[24], number[16], relation[16];

    id_text(job, id);
    snprintf(number, sizeof(number), "%d", table + 1);
    snprintf(relation, sizeof(relation), "%" PRIu32, oid);
    pipeline_add_prepared(p, STATEMENT_SERVING, 3, relation, id, number);
}

void
job_state_add_other(struct pipeline *p, const struct job_state *job, const char *before, const char *after,
                    const char *undo)
{
    char id[24];

    id_text(job, id);
    pipeline_add_prepared(p, STATEMENT_OTHER, 4, id, after, undo, before);
}

static char *
one_text(const struct error *reason)
{
    return mem_printf("%s%s%s", reason->message, reason->detail != NULL ? "\n" : "",
                      reason->detail != NULL ? reason->detail : "");
}

bool
job_state_save_error(struct session *s, const struct job_state *job, const struct error *reason,
                     struct error *err)
{
    char *text = one_text(reason);
    bool ok = update(s, job, err, "UPDATE pgrecast.job SET error = $3 WHERE id = $1 AND instance = $2",
                     VALUES(text));

    free(text);
    return ok;
}

bool
job_state_answer(struct session *s, const struct job_state *job, const struct error *reason,
                 struct error *err)
{
    char id[24], kind[16], *text = reason != NULL ? one_text(reason) : NULL;
    bool ok;

    id_text(job, id);
    snprintf(kind, sizeof(kind), "%d", reason != NULL ? (int)reason->kind : 0);
    ok = session_query(s, NULL, err,
                       "UPDATE pgrecast.job SET cutover_requested = false, rollback_requested = false, "
                       "reverse_maps = NULL, finish_requested = NULL, answer = $2, answer_kind = $3, "
                       "answer_hint = $4 WHERE id = $1",
                       4, id, text, reason != NULL ? kind : NULL, reason != NULL ? reason->hint : NULL);
    free(text);
    return ok;
}

bool
job_state_end(struct session *s, struct job_state *job, enum job_phase phase, const char *message,
              struct error *err)
{
    char id[24];

    id_text(job, id);
    if (!session_query(s, NULL, err, sql_job_end, 3, id, job_phase_name(phase), message))
        return false;
    job->phase = phase;
    job->ended = true;
    return true;
}
