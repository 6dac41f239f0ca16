/* The start of a job: publication, slot, start barrier, receiver, shadow. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
              e->options.start_timeout_s);
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
    int64_t until = clock_ms() + (int64_t)e->options.start_timeout_s * 1000;
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
create_publication(struct engine *e, const char *name, const char *tables, struct error *err)
{
    struct buffer sql = {0}, undo = {0};
    bool ok;

    buffer_add_text(&undo, "DROP PUBLICATION IF EXISTS ");
    buffer_add_identifier(&undo, name);
    buffer_add_text(&sql, "CREATE PUBLICATION ");
    buffer_add_identifier(&sql, name);
    buffer_add_text(&sql, tables);
    ok = ledger_enter(e->control, &e->job, "publication", name, undo.data, err) &&
         run_waiting(e, "the publication", sql.data, 0, NULL, err);
    if (!ok)
        error_context(err, "creating publication \"%s\"", name);
    buffer_free(&sql);
    buffer_free(&undo);
    return ok;
}

/*
 * One for each direction. That of the way back is empty until the new table is complete; but it must be older
 * than the slot, or changes from before its time could not be decoded.
 */
static bool
create_publications(struct engine *e, struct error *err)
{
    struct buffer tables = {0};
    bool ok;

    for (int i = 0; i < e->table_count; i++)
        buffer_printf(&tables, "%sONLY %s", i > 0 ? ", " : " FOR TABLE ", e->tables[i].plan->source_sql);
    ok = create_publication(e, e->job.publication_name, tables.data, err) &&
         (e->options.window_s == 0 || create_publication(e, e->job.back_publication_name, "", err));
    buffer_free(&tables);
    engine_kill_point("init-publication");
    return ok;
}

/*
 * After the publications are committed: a slot older than its publication cannot be decoded. From 17 on a
 * standby may keep a copy of it, so that the job survives a failover.
 */
static bool
create_slot(struct engine *e, struct error *err)
{
    const char *params[] = {e->job.slot_name};
    const char *sql =
        session_major(e->control) >= 17
            ? "SELECT pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput', failover => true)"
            : "SELECT pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput')";
    struct result res = {0};
    bool ok;

    ok = ledger_enter(e->control, &e->job, LEDGER_SLOT, e->job.slot_name, "", err) &&
         run_waiting(e, "the replication slot", sql, 1, params, err) &&
         session_row(e->control, &res, err,
                     "SELECT confirmed_flush_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = $1",
                     1, e->job.slot_name);
    if (ok)
        e->job.start = result_lsn(&res, 0, 0);
    else
        error_context(err, "creating replication slot \"%s\"", e->job.slot_name);
    for (int i = 0; i < e->table_count; i++)
        e->job.tables[i].applied = e->job.start;
    result_free(&res);
    engine_kill_point("init-slot");
    return ok;
}

static bool
save_start(struct engine *e, struct error *err)
{
    char id[24], lsn[LSN_TEXT_SIZE];

    snprintf(id, sizeof(id), "%" PRId64, e->job.id);
    return job_state_save_start(e->control, &e->job, err) &&
           session_query(e->control, NULL, err,
                         "UPDATE pgrecast.position SET applied_lsn = $2 WHERE job_id = $1", 2, id,
                         lsn_format(e->job.start, lsn));
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
        if (clock_ms() - began > (int64_t)e->options.start_timeout_s * 1000) {
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
        ok = save_start(e, err);
    }
    result_free(&res);
    engine_kill_point("init-barrier");
    return ok;
}

static bool
note_shadow(struct engine *e, int table, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(e->control, &res, err, "SELECT $1::pg_catalog.regclass::pg_catalog.oid", 1,
                          e->tables[table].plan->shadow_sql);

    if (ok)
        e->job.tables[table].shadow_oid = (uint32_t)result_int(&res, 0, 0);
    result_free(&res);
    return ok && job_state_save_table(e->control, &e->job, table, err);
}

static bool
enter_shadow(struct engine *e, const struct plan *plan, struct error *err)
{
    char *undo = statements_join(&plan->drop_shadow);
    bool ok = ledger_enter(e->control, &e->job, LEDGER_TABLE, plan->shadow_sql, undo, err);

    free(undo);
    return ok;
}

static bool
create_shadow(struct engine *e, int table, struct error *err)
{
    const struct plan *plan = e->tables[table].plan;
    char *create = statements_join(&plan->create);
    bool ok = (session_execute(e->control, err, create) && note_shadow(e, table, err)) ||
              error_context(err, "creating %s", plan->shadow_sql);

    free(create);
    return ok;
}

static bool
create_shadows(struct engine *e, struct error *err)
{
    bool ok = true;

    for (int i = 0; ok && i < e->table_count; i++)
        ok = enter_shadow(e, e->tables[i].plan, err);
    ok = ok && session_execute(e->control, err, "BEGIN");
    for (int i = 0; ok && i < e->table_count; i++)
        ok = create_shadow(e, i, err);
    ok = ok && session_execute(e->control, err, "COMMIT");
    if (!ok)
        session_rollback(e->control);
    engine_kill_point("init-shadow");
    return ok;
}

/* An instance that ended in here has made nothing of worth: all of it goes, and is made anew. */
enum step
phase_start(struct engine *e, struct error *err)
{
    engine_kill_point("init-row");
    return ledger_undo(e->control, &e->job, err) && engine_check_definition(e, err) &&
                   create_publications(e, err) && create_slot(e, err) && pass_barrier(e, err) &&
                   engine_check_definition(e, err) && stages_open_stream(e, err) && create_shadows(e, err)
               ? STEP_NEXT
               : STEP_FAILED;
}
