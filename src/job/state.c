#include "job/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "sql/sql.h"

static const char *const phase_names[] = {"init",  "copy",    "index",    "catchup", "verify",
                                          "ready", "cutover", "finished", "aborted", "failed"};

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

void
job_state_clear(struct job_state *job)
{
    free(job->name);
    free(job->schema_name);
    free(job->table_name);
    free(job->sql);
    free(job->fingerprint);
    free(job->system_identifier);
    free(job->slot_name);
    free(job->publication_name);
    free(job->spool_directory);
    memset(job, 0, sizeof(*job));
}

bool
job_state_install(struct session *s, struct error *err)
{
    /* CREATE … IF NOT EXISTS of two sessions at once can still collide: one after the other. */
    bool ok = session_execute(s, err, "BEGIN; SET LOCAL client_min_messages = warning") &&
              session_executef(s, err, "SELECT pg_catalog.pg_advisory_xact_lock(%d, 0)", JOB_LOCK_CLASS) &&
              session_execute(s, err, sql_job_schema) && session_execute(s, err, "COMMIT");

    if (!ok) {
        session_rollback(s);
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
    }
    result_free(&res);
    return ok;
}

static bool
insert_job(struct session *s, struct job_state *job, struct error *err)
{
    struct result res = {0};
    char format[16], oid[16], timeline[16], pid[16], host[256] = "";
    bool ok;

    snprintf(format, sizeof(format), "%d", JOB_FORMAT);
    snprintf(oid, sizeof(oid), "%" PRIu32, job->source_oid);
    snprintf(timeline, sizeof(timeline), "%d", job->timeline);
    snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    gethostname(host, sizeof(host) - 1);
    ok = session_row(
        s, &res, err,
        "INSERT INTO pgrecast.job (format, name, phase, schema_name, table_name, source_oid, sql, "
        "fingerprint, system_identifier, timeline, slot_name, publication_name, host, pid, "
        "spool_directory) VALUES ($1, $2, 'init', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) "
        "RETURNING id",
        14, format, job->name, job->schema_name, job->table_name, oid, job->sql, job->fingerprint,
        job->system_identifier, timeline, job->slot_name, job->publication_name, host, pid,
        job->spool_directory);
    if (ok) {
        job->id = result_int(&res, 0, 0);
        job->phase = PHASE_INIT;
    }
    result_free(&res);
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
                   "See it with: pgrecast status %s; remove it with: pgrecast abort %s; or name another with "
                   "--job.",
                   job->name, job->name);
    }
    result_free(&res);
    return ok;
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
         session_query(s, NULL, err, "INSERT INTO pgrecast.position (job_id) VALUES ($1)", 1, id) &&
         job_state_lock(s, job, err) && session_execute(s, err, "COMMIT");
    if (!ok)
        session_rollback(s);
    return ok;
}

static void
take_row(struct job_state *job, const struct result *r)
{
    job->id = result_int(r, 0, 0);
    job->name = mem_strdup(result_text(r, 0, 1));
    job->schema_name = mem_strdup(result_text(r, 0, 3));
    job->table_name = mem_strdup(result_text(r, 0, 4));
    job->source_oid = (uint32_t)result_int(r, 0, 5);
    job->sql = mem_strdup(result_text(r, 0, 6));
    job->fingerprint = mem_strdup(result_text(r, 0, 7));
    job->system_identifier = mem_strdup(result_text(r, 0, 8));
    job->timeline = (int)result_int(r, 0, 9);
    job->slot_name = mem_strdup(result_text(r, 0, 10));
    job->publication_name = mem_strdup(result_text(r, 0, 11));
    job->spool_directory = mem_strdup(result_text(r, 0, 12));
    job->swapped = !result_null(r, 0, 13);
    job->barrier = result_lsn(r, 0, 14);
    job->exact = result_lsn(r, 0, 15);
}

bool
job_state_read(struct session *s, const char *name, struct job_state *job, struct error *err)
{
    struct result res = {0};
    bool ok = session_query(
        s, &res, err,
        "SELECT id, name, phase, schema_name, table_name, source_oid, sql, fingerprint, "
        "system_identifier, timeline, slot_name, publication_name, spool_directory, swapped_at, "
        "barrier_lsn, exact_lsn, format FROM pgrecast.job WHERE name = $1",
        1, name);

    memset(job, 0, sizeof(*job));
    if (ok && result_rows(&res) == 0) {
        ok = error_set(err, ERROR_USAGE, "there is no job \"%s\" in this database", name);
        error_hint(err, "List the jobs with: pgrecast jobs");
    }
    if (ok && result_int(&res, 0, 16) != JOB_FORMAT)
        ok = error_set(err, ERROR_FAILED,
                       "job \"%s\" was made by another version of pgrecast (format %s, not %d)", name,
                       result_text(&res, 0, 16), JOB_FORMAT);
    ok = ok && parse_phase(result_text(&res, 0, 2), &job->phase, err);
    if (ok)
        take_row(job, &res);
    result_free(&res);
    return ok;
}

bool
job_state_set_phase(struct session *s, struct job_state *job, enum job_phase phase, struct error *err)
{
    char id[24];

    id_text(job, id);
    if (!session_query(
            s, NULL, err,
            "UPDATE pgrecast.job SET phase = $2, phase_since = pg_catalog.clock_timestamp() WHERE id = $1", 2,
            id, job_phase_name(phase)))
        return false;
    job->phase = phase;
    return true;
}

bool
job_state_save_start(struct session *s, const struct job_state *job, struct error *err)
{
    char id[24], x0[24], barrier[LSN_TEXT_SIZE], exact[LSN_TEXT_SIZE];

    id_text(job, id);
    snprintf(x0, sizeof(x0), "%" PRIu64, job->x0);
    return session_query(s, NULL, err,
                         "UPDATE pgrecast.job SET x0 = $2::pg_catalog.xid8, barrier_lsn = $3, exact_lsn = $4 "
                         "WHERE id = $1",
                         4, id, x0, lsn_format(job->barrier, barrier), lsn_format(job->exact, exact));
}

bool
job_state_end(struct session *s, struct job_state *job, enum job_phase phase, const char *message,
              struct error *err)
{
    char id[24];

    id_text(job, id);
    if (!session_query(s, NULL, err, "DELETE FROM pgrecast.chunk WHERE job_id = $1", 1, id) ||
        !session_query(s, NULL, err, "DELETE FROM pgrecast.position WHERE job_id = $1", 1, id) ||
        !session_query(s, NULL, err,
                       "UPDATE pgrecast.job SET phase = $2, phase_since = pg_catalog.clock_timestamp(), "
                       "ended_at = pg_catalog.clock_timestamp(), error = $3 WHERE id = $1",
                       3, id, job_phase_name(phase), message))
        return false;
    job->phase = phase;
    return true;
}
