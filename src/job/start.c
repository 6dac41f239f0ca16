/* The start of a job: publication, slot, start barrier, receiver, shadow. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "engine.h"

#define LOCK_WAIT_MS                                                                                         \
    2000 /* a try to create the publication or the slot; then what is waited for is named                    \
          */
#define BARRIER_POLL_MS 20
#define BARRIER_REPORT_MS 3000
#define SEGMENT_BYTES (UINT64_C(64) * 1024 * 1024)

/* The oldest transaction of the cluster that has written something: what slot creation and the barrier wait
 * for. */
static char *
describe_oldest(struct engine *e)
{
    struct result res = {0};
    struct error ignored = {0};
    char *text = NULL;

    if (session_query(
            e->control, &res, &ignored,
            "SELECT pg_catalog.format('process %s (%s, database %s, open for %s s)', pid, "
            "coalesce(nullif(application_name, ''), 'unnamed'), datname, "
            "coalesce(pg_catalog.round(extract(epoch FROM pg_catalog.clock_timestamp() - xact_start))::text, "
            "'?')) FROM pg_catalog.pg_stat_activity WHERE backend_xid IS NOT NULL "
            "AND pid <> pg_catalog.pg_backend_pid() ORDER BY pg_catalog.age(backend_xid) DESC LIMIT 1",
            0) &&
        result_rows(&res) > 0)
        text = mem_strdup(result_text(&res, 0, 0));
    result_free(&res);
    if (text == NULL &&
        session_query(
            e->control, &res, &ignored,
            "SELECT pg_catalog.format('the prepared transaction %L of database %s', gid, database) FROM "
            "pg_catalog.pg_prepared_xacts ORDER BY prepared LIMIT 1",
            0) &&
        result_rows(&res) > 0)
        text = mem_strdup(result_text(&res, 0, 0));
    result_free(&res);
    error_clear(&ignored);
    return text != NULL ? text : mem_strdup("a transaction that has just ended");
}

static bool
start_timed_out(struct engine *e, struct error *err)
{
    char *oldest = describe_oldest(e);

    error_set(err, ERROR_FAILED, "transactions that were open when the job began did not end within %d s",
              e->options->start_timeout_s);
    error_detail(err, "The oldest is %s. Nothing was changed.", oldest);
    error_hint(err, "End it, or give it more time with --start-timeout.");
    free(oldest);
    return false;
}

/* Run a statement that waits for others, in short tries, saying what it waits for. */
static bool
run_waiting(struct engine *e, const char *what, const char *sql, int nparams, const char *const *params,
            struct error *err)
{
    int64_t until = clock_ms() + (int64_t)e->options->start_timeout_s * 1000;
    bool told = false, ok = session_executef(e->control, err, "SET lock_timeout = %d", LOCK_WAIT_MS);

    while (ok) {
        ok = session_query_params(e->control, NULL, err, sql, nparams, params);
        if (ok || strcmp(err->sqlstate, "55P03") != 0)
            break;
        if (clock_ms() > until)
            return start_timed_out(e, err);
        if (!told) {
            char *oldest = describe_oldest(e);
            log_info("%s waits for older transactions to end: %s", what, oldest);
            free(oldest);
            told = true;
        }
        ok = engine_tick(e, err);
    }
    return ok && session_execute(e->control, err, "SET lock_timeout = 0");
}

static bool
create_publication(struct engine *e, struct error *err)
{
    struct buffer sql = {0}, undo = {0};
    bool ok;

    buffer_add_text(&undo, "DROP PUBLICATION IF EXISTS ");
    buffer_add_identifier(&undo, e->job.publication_name);
    buffer_add_text(&sql, "CREATE PUBLICATION ");
    buffer_add_identifier(&sql, e->job.publication_name);
    buffer_printf(&sql, " FOR TABLE ONLY %s", e->plan->source_sql);
    ok = ledger_enter(e->control, &e->job, "publication", e->job.publication_name, undo.data, err) &&
         run_waiting(e, "the publication", sql.data, 0, NULL, err);
    if (!ok)
        error_context(err, "creating publication \"%s\"", e->job.publication_name);
    buffer_free(&sql);
    buffer_free(&undo);
    return ok;
}

/* After the publication is committed: a slot older than its publication cannot be decoded. */
static bool
create_slot(struct engine *e, struct error *err)
{
    const char *params[] = {e->job.slot_name};

    if (!ledger_enter(e->control, &e->job, LEDGER_SLOT, e->job.slot_name, "", err) ||
        !run_waiting(e, "the replication slot",
                     "SELECT lsn FROM pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput')", 1,
                     params, err))
        return error_context(err, "creating replication slot \"%s\"", e->job.slot_name);
    return true;
}

/*
 * The start barrier. A transaction that began before the slot was ready may commit without being streamed,
 * and stay invisible for a while after its commit (a synchronous standby): wait until every transaction older
 * than x0 is over and visible. Then all rows older than x0 can be read, and all later changes come through
 * the slot.
 */
static bool
pass_barrier(struct engine *e, struct error *err)
{
    int64_t began = clock_ms(), reported = began;
    struct result res = {0};
    bool ok = session_row(e->control, &res, err,
                          "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())", 0);
    char x0[24];

    if (!ok)
        return false;
    e->job.x0 = strtoull(result_text(&res, 0, 0), NULL, 10);
    snprintf(x0, sizeof(x0), "%" PRIu64, e->job.x0);
    for (;;) {
        ok = session_row(
            e->control, &res, err,
            "SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()) >= $1::pg_catalog.xid8, "
            "pg_catalog.pg_current_wal_insert_lsn()",
            1, x0);
        if (!ok || result_bool(&res, 0, 0))
            break;
        if (clock_ms() - began > (int64_t)e->options->start_timeout_s * 1000) {
            ok = start_timed_out(e, err);
            break;
        }
        if (clock_ms() - reported > BARRIER_REPORT_MS) {
            char *oldest = describe_oldest(e);
            log_info("waiting for older transactions to end: %s", oldest);
            free(oldest);
            reported = clock_ms() + 60000;
        }
        if (!(ok = engine_wait(e, BARRIER_POLL_MS, err)))
            break;
    }
    if (ok) {
        e->job.barrier = result_lsn(&res, 0, 1);
        ok = job_state_save_start(e->control, &e->job, err);
    }
    result_free(&res);
    return ok;
}

static bool
make_directories(const char *path, struct error *err)
{
    char *copy = mem_strdup(path);
    bool ok = true;

    for (char *slash = strchr(copy + 1, '/'); ok; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        if (mkdir(copy, 0700) != 0) {
            struct stat st;

            if (stat(copy, &st) != 0 || !S_ISDIR(st.st_mode)) {
                ok = error_set(err, ERROR_FAILED, "cannot create the directory \"%s\": %m", copy);
                error_hint(err, "Name a directory for the spool with --spool-dir.");
            }
        }
        if (slash == NULL)
            break;
        *slash = '/';
    }
    free(copy);
    return ok;
}

static bool
open_spool(struct engine *e, struct error *err)
{
    struct spool_identity identity = {
        .system_identifier = strtoull(e->job.system_identifier, NULL, 10),
        .timeline = (uint32_t)e->job.timeline,
    };
    char *parent = mem_strdup(e->job.spool_directory);
    bool ok;

    *strrchr(parent, '/') = '\0';
    snprintf(identity.job, sizeof(identity.job), "%" PRId64, e->job.id);
    snprintf(identity.slot, sizeof(identity.slot), "%s", e->job.slot_name);
    ok = (parent[0] == '\0' || make_directories(parent, err)) &&
         ledger_enter(e->control, &e->job, LEDGER_SPOOL, e->job.spool_directory, e->job.spool_directory, err);
    if (ok)
        e->spool = spool_open(e->job.spool_directory, &identity, SEGMENT_BYTES, err);
    free(parent);
    return ok && e->spool != NULL;
}

static bool
sink_append(void *arg, const struct message *m, lsn_t lsn, struct error *err)
{
    return spool_append(arg, m, lsn, err);
}

static bool
sink_flush(void *arg, struct error *err)
{
    return spool_flush(arg, err);
}

static bool
sink_sync(void *arg, struct error *err)
{
    return spool_sync(arg, err);
}

static bool
sink_progress(void *arg, lsn_t lsn, struct error *err)
{
    return spool_append_progress(arg, lsn, err);
}

static bool
start_stream(struct engine *e, struct error *err)
{
    struct stream_options options = {
        .connection = e->options->connection,
        .slot = e->job.slot_name,
        .publication = e->job.publication_name,
        .any_origin = true,
        .from = spool_end_lsn(e->spool),
        .sink = {.arg = e->spool,
                 .append = sink_append,
                 .flush = sink_flush,
                 .sync = sink_sync,
                 .progress = sink_progress},
    };

    e->stream = stream_start(&options, err);
    return e->stream != NULL;
}

static char *
join_statements(const struct string_list *list)
{
    struct buffer text = {0};

    for (int i = 0; i < list->count; i++)
        buffer_printf(&text, "%s%s", i > 0 ? ";\n" : "", list->items[i]);
    return buffer_take(&text);
}

static bool
create_shadow(struct engine *e, struct error *err)
{
    char *undo = join_statements(&e->plan->drop_shadow), *create = join_statements(&e->plan->create);
    bool ok = ledger_enter(e->control, &e->job, "table", e->plan->shadow_sql, undo, err) &&
              session_execute(e->control, err, "BEGIN") && session_execute(e->control, err, create) &&
              session_execute(e->control, err, "COMMIT");

    if (!ok) {
        session_rollback(e->control);
        error_context(err, "creating %s", e->plan->shadow_sql);
    }
    free(undo);
    free(create);
    return ok;
}

bool
phase_start(struct engine *e, struct error *err)
{
    return create_publication(e, err) && create_slot(e, err) && pass_barrier(e, err) &&
           engine_check_definition(e, err) && open_spool(e, err) && start_stream(e, err) &&
           create_shadow(e, err);
}
