/* The start of a job: publications, slot, start barrier, receiver, shadow. */
#include <stdlib.h>
#include <string.h>

#include "additions.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/mem.h"
#include "engine.h"
#include "inactive.h"
#include "pg/sqlstate.h"
#include "phases.h"
#include "stages.h"
#include "state/guard.h"
#include "state/ledger.h"
#include "state/position.h"
#include "state/published.h"
#include "waits.h"

/* For one try to create a publication or slot. After a second of it one looks what it waits for (waits.h). */
#define LOCK_WAIT_MS 2000
#define BARRIER_POLL_MS 20

static bool
start_timed_out(struct engine *e, struct error *err)
{
    char *what = waits_text(e);

    error_set(err, ERROR_FAILED, "transactions that were open when the job began did not end within %d s",
              e->options.start_timeout_s);
    error_detail(err, "The job waits for %s. Nothing was changed.", what);
    error_hint(err, "End it, or give it more time with --start-timeout.");
    free(what);
    return false;
}

/* Do something that may have to wait for others: try for a short time, and try again. */
static bool
run_waiting(struct engine *e, bool (*run)(struct engine *e, const void *arg, struct error *err),
            const void *arg, struct error *err)
{
    int64_t until = clock_ms() + (int64_t)e->options.start_timeout_s * 1000;
    bool ok = session_executef(e->control, err, "SET lock_timeout = %d", LOCK_WAIT_MS);

    while (ok) {
        ok = run(e, arg, err);
        if (ok || !sqlstate_is(err, SQLSTATE_LOCK_NOT_AVAILABLE))
            break;
        if (clock_ms() > until)
            return start_timed_out(e, err);
        ok = engine_tick(e, err);
    }
    return ok && session_execute(e->control, err, "SET lock_timeout = 0");
}

struct publication {
    const char *name;
    const char *tables; /* the end of the statement, from the tables on */
};

/* The publication and its oid in the ledger are created in one transaction. */
static bool
try_publication(struct engine *e, const void *arg, struct error *err)
{
    const struct publication *p = arg;
    struct result res = {0};
    struct buffer sql = {0};
    bool ok;

    buffer_add_text(&sql, "CREATE PUBLICATION ");
    buffer_add_identifier(&sql, p->name);
    buffer_add_text(&sql, p->tables);
    ok = session_execute(e->control, err, "BEGIN") && session_execute(e->control, err, sql.data) &&
         session_row(e->control, &res, err, "SELECT oid FROM pg_catalog.pg_publication WHERE pubname = $1", 1,
                     p->name) &&
         ledger_made(e->control, &e->job, LEDGER_PUBLICATION, p->name, (uint32_t)row_int(&res, 0, "oid"),
                     err) &&
         published_note(e->control, &e->job, err) && session_commit(e->control, err);
    if (!ok)
        session_rollback(e->control);
    result_free(&res);
    buffer_free(&sql);
    return ok;
}

static bool
create_publication(struct engine *e, const char *name, const char *tables, struct error *err)
{
    struct publication p = {.name = name, .tables = tables};

    return (ledger_enter(e->control, &e->job, LEDGER_PUBLICATION, name, err) &&
            run_waiting(e, try_publication, &p, err)) ||
           error_context(err, "creating publication \"%s\"", name);
}

/* The changes of a partitioned table come under its own name: its partitions are nothing to the job. */
static const char *
publication_options(const struct engine *e)
{
    for (int i = 0; i < e->table_count; i++)
        if (e->tables[i].plan->target->partition_key != NULL)
            return " WITH (publish_via_partition_root = true)";
    return "";
}

/*
 * One publication for each direction. That of the reverse direction is empty until the new table is complete.
 * It must be created before the slot, because otherwise changes could not be decoded from before its
 * creation.
 */
static bool
create_publications(struct engine *e, struct error *err)
{
    struct buffer tables = {0};
    bool ok;

    for (int i = 0; i < e->table_count; i++)
        buffer_printf(&tables, "%sONLY %s", i > 0 ? ", " : " FOR TABLE ",
                      e->tables[i].plan->names.source_sql);
    ok = create_publication(e, e->job.publication_name, tables.data, err) &&
         (e->options.window_s == 0 ||
          create_publication(e, e->job.back_publication_name, publication_options(e), err));
    buffer_free(&tables);
    engine_kill_point("init-publication");
    return ok;
}

/*
 * To be called after the publications are committed: a slot that is older than its publication cannot be
 * decoded. On servers from 17 on a standby may keep a copy of the slot, so that the job survives a failover.
 */
static bool
try_slot(struct engine *e, const void *arg, struct error *err)
{
    (void)arg;
    return session_query(
        e->control, NULL, err,
        session_major(e->control) >= 17
            ? "SELECT pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput', failover => true)"
            : "SELECT pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput')",
        1, e->job.slot_name);
}

static bool
create_slot(struct engine *e, struct error *err)
{
    struct result res = {0};
    bool ok =
        ledger_enter(e->control, &e->job, LEDGER_SLOT, e->job.slot_name, err) &&
        run_waiting(e, try_slot, NULL, err) &&
        session_row(e->control, &res, err,
                    "SELECT confirmed_flush_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = $1", 1,
                    e->job.slot_name);

    if (ok)
        e->job.start = row_lsn(&res, 0, "confirmed_flush_lsn");
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
    return job_state_save_start(e->control, &e->job, err) &&
           state_position_reset(e->control, &e->job, e->job.start, err);
}

/*
 * The start barrier. A transaction that began before the slot was ready may commit without being streamed. It
 * may also stay invisible for a while after its commit (a synchronous standby). So wait until every
 * transaction older than x0 is over and visible. Then all rows older than x0 can be read, and all later
 * changes come through the slot.
 */
static bool
pass_barrier(struct engine *e, struct error *err)
{
    int64_t began = clock_ms();
    struct result res = {0};
    bool ok = session_row(e->control, &res, err,
                          "SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()) AS xid", 0);
    struct params x0 = {0};

    if (!ok)
        return false;
    e->job.x0 = row_uint(&res, 0, "xid");
    params_uint(&x0, e->job.x0);
    waits_expect_transactions(e, true);
    for (;;) {
        ok = session_row_with(e->control, &res, err,
                              "SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()) >= "
                              "$1::pg_catalog.xid8 AS passed, pg_catalog.pg_current_wal_insert_lsn() AS lsn",
                              &x0);
        if (!ok || row_bool(&res, 0, "passed"))
            break;
        if (clock_ms() - began > (int64_t)e->options.start_timeout_s * 1000) {
            ok = start_timed_out(e, err);
            break;
        }
        if (!(ok = engine_wait(e, BARRIER_POLL_MS, err)))
            break;
    }
    waits_expect_transactions(e, false);
    if (ok) {
        e->job.barrier = row_lsn(&res, 0, "lsn");
        ok = save_start(e, err);
    }
    result_free(&res);
    engine_kill_point("init-barrier");
    return ok;
}

/* In the transaction that creates it, so that the ledger has an object if and only if the object exists. */
static bool
note_shadow(struct engine *e, int table, struct error *err)
{
    const char *name = e->tables[table].plan->names.shadow_sql;
    struct result res = {0};
    bool ok =
        session_row(e->control, &res, err, "SELECT $1::pg_catalog.regclass::pg_catalog.oid AS oid", 1, name);

    if (ok)
        e->job.tables[table].shadow_oid = (uint32_t)row_int(&res, 0, "oid");
    result_free(&res);
    return ok && job_state_save_table(e->control, &e->job, table, err) &&
           ledger_made(e->control, &e->job, LEDGER_TABLE, name, e->job.tables[table].shadow_oid, err);
}

static bool
create_shadow(struct engine *e, int table, struct error *err)
{
    const struct plan *plan = e->tables[table].plan;
    const struct guarded guarded = inactive_guarded(plan);
    char *create = statements_join(&plan->statements.create);
    bool ok = (session_execute(e->control, err, create) && note_shadow(e, table, err) &&
               guard_set(e->control, &e->job, table, &guarded, err) &&
               additions_remove(e, table, ADDITIONS_CREATED, err) && additions_note(e, table, err)) ||
              error_context(err, "creating %s", plan->names.shadow_sql);

    free(create);
    return ok;
}

static bool
create_shadows(struct engine *e, struct error *err)
{
    bool ok = true;

    for (int i = 0; ok && i < e->table_count; i++)
        ok = ledger_enter(e->control, &e->job, LEDGER_TABLE, e->tables[i].plan->names.shadow_sql, err) &&
             ledger_enter(e->control, &e->job, LEDGER_GUARD, e->tables[i].plan->names.shadow_sql, err);
    ok = ok && session_execute(e->control, err, "BEGIN");
    for (int i = 0; ok && i < e->table_count; i++)
        ok = create_shadow(e, i, err);
    ok = ok && guard_seal(e->control, &e->job, err) && session_commit(e->control, err);
    if (!ok)
        session_rollback(e->control);
    engine_kill_point("init-shadow");
    return ok;
}

/*
 * An instance that ended in this phase has made nothing that is worth keeping: all of it is removed and made
 * anew.
 */
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
