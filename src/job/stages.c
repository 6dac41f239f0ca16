/* The stages of a direction: spool, receiver, apply; the position at which each continues. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/clock.h"
#include "core/command.h"
#include "core/encoding.h"
#include "core/log.h"
#include "core/mem.h"
#include "engine.h"
#include "inactive.h"
#include "pg/sqlstate.h"
#include "sessions.h"
#include "stages.h"
#include "state/ledger.h"
#include "tables.h"
#include "validate.h"
#include "watch.h"

#define SEGMENT_BYTES (UINT64_C(64) * 1024 * 1024)
#define SLOT_FREE_MS 90000 /* how long the connection of an instance that died may still hold the slot */
#define SLOT_REPORT_MS 2000
#define SLOT_POLL_MS 250

char *
stages_spool_directory(const struct engine *e, int swaps)
{
    return mem_printf("%s/direction%d", e->job.spool_directory, swaps);
}

struct spool_identity
stages_spool_identity(const struct engine *e, int timeline)
{
    struct spool_identity identity = {
        .system_identifier = strtoull(e->job.system_identifier, NULL, 10),
        .timeline = (uint32_t)timeline,
        .database = e->job.database_oid,
        .encoding = encoding_number(session_encoding(e->control)),
    };

    snprintf(identity.job, sizeof(identity.job), "%" PRId64, e->job.id);
    snprintf(identity.slot, sizeof(identity.slot), "%s", e->job.slot_name);
    return identity;
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
    struct spool_identity identity = stages_spool_identity(e, e->job.timeline);
    char *directory = stages_spool_directory(e, e->job.swaps);
    bool ok = make_directories(e->job.spool_directory, err) && spool_check_own(e->job.spool_directory, err) &&
              spool_check_own(directory, err) &&
              ledger_enter(e->control, &e->job, LEDGER_SPOOL, directory, err);
    if (ok)
        e->spool = spool_open(directory, &identity, SEGMENT_BYTES, err);
    free(directory);
    return ok && e->spool != NULL;
}

static bool
stages_sink_append(void *arg, const struct message *m, lsn_t lsn, struct error *err)
{
    return spool_append(arg, m, lsn, err);
}

static bool
stages_sink_flush(void *arg, struct error *err)
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

/*
 * A change that was confirmed to the server is not sent again: it must be applied already, or be in the
 * spool. Neither holds on a host that does not have the spool, or where the spool was damaged.
 */
static bool
check_covered(struct engine *e, lsn_t from, struct error *err)
{
    struct result res = {0};
    char confirmed[LSN_TEXT_SIZE], has[LSN_TEXT_SIZE];
    bool ok =
        session_row(e->control, &res, err,
                    "SELECT confirmed_flush_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 "
                    "AND database = pg_catalog.current_database()",
                    1, e->job.slot_name);

    if (ok && row_lsn(&res, 0, "confirmed_flush_lsn") > from) {
        ok = error_set(err, ERROR_FAILED,
                       "changes up to %s are no longer in the replication slot, and not in the spool "
                       "\"%s\", which ends at %s",
                       lsn_format(row_lsn(&res, 0, "confirmed_flush_lsn"), confirmed), e->job.spool_directory,
                       lsn_format(from, has));
        error_detail(err, "The job has run on host %s. What is not applied yet is only in the spool there.",
                     e->job.host);
        error_hint(
            err,
            job_is_reversed(&e->job)
                ? "To continue, run there: " COMMAND("resume") "; to give the job up, run: " COMMAND("finish")
                : "To continue, run there: " COMMAND("resume") "; to give the job up, run: " COMMAND("abort"),
            e->job.name, e->job.name);
    }
    result_free(&res);
    return ok;
}

/*
 * A walsender of this job that has not noticed yet that its client is gone. The job's lock proves that it is
 * gone.
 */
static bool
end_old_receiver(struct engine *e, struct error *err)
{
    return session_query(
        e->control, NULL, err,
        "SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_replication_slots AS s "
        "JOIN pg_catalog.pg_stat_activity AS a ON a.pid = s.active_pid "
        "WHERE s.slot_name = $1 AND a.usename = current_user AND a.application_name = "
        "'pgrecast stream'",
        1, e->job.slot_name);
}

static bool
start_stream(struct engine *e, lsn_t from, struct error *err)
{
    struct stream_options options = {
        .connection = e->options.connection,
        .slot = e->job.slot_name,
        .publication = job_is_reversed(&e->job) ? e->job.back_publication_name : e->job.publication_name,
        .any_origin = true,
        .from = from,
        .limit = e->job.swaps > 0 || e->job.phase > PHASE_INDEX ? job_applied(&e->job) : 0,
        .sink = {.arg = e->spool,
                 .append = stages_sink_append,
                 .flush = stages_sink_flush,
                 .sync = sink_sync,
                 .progress = sink_progress},
    };
    int64_t until = clock_ms() + SLOT_FREE_MS, report = clock_ms() + SLOT_REPORT_MS;

    while ((e->stream = stream_start(&options, err)) == NULL) {
        if (!sqlstate_is(err, SQLSTATE_OBJECT_IN_USE))
            return false;
        if (clock_ms() > until)
            return watch_slot_busy(e, err);
        if (clock_ms() > report) {
            watch_slot_busy(e, err);
            log_warning("%s. It is waited for. %s", err->message, err->hint != NULL ? err->hint : "");
            report = until;
        }
        error_clear(err);
        if (!end_old_receiver(e, err))
            return false;
        if (!clock_sleep(SLOT_POLL_MS)) {
            error_set(err, ERROR_FAILED, "stopped while waiting for the replication slot");
            err->stopped = true;
            return false;
        }
    }
    return true;
}

bool
stages_open_stream(struct engine *e, struct error *err)
{
    lsn_t from = job_applied(&e->job);

    if (e->stream != NULL)
        return true;
    if (e->spool == NULL && !open_spool(e, err))
        return false;
    if (spool_end_lsn(e->spool) > from)
        from = spool_end_lsn(e->spool);
    return check_covered(e, from, err) && job_state_save_host(e->control, &e->job, err) &&
           start_stream(e, from, err);
}

/*
 * Values that an apply has read from the source are newer than its position in the stream, and may be those
 * of another row. After a crash it is not known which values those are: at most all up to the current end of
 * the log.
 */
static bool
distrust_all(struct engine *e, struct apply_bounds *bounds, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(e->control, &res, err, "SELECT pg_catalog.pg_current_wal_insert_lsn() AS lsn", 0);

    if (ok)
        bounds->distrust = bounds->exact = row_lsn(&res, 0, "lsn");
    result_free(&res);
    return ok;
}

/* The position at which the direction began, where both tables are as the copy or the swap has left them. */
static lsn_t
direction_start(const struct engine *e)
{
    return e->job.swaps == 0 ? e->job.start : e->job.swap_lsn;
}

static bool
open_apply(struct engine *e, int table, bool *fresh, struct error *err)
{
    struct engine_table *t = &e->tables[table];
    struct apply_options options = {
        .plan = t->plan,
        .session = e->applying,
        .workers = sessions_apply_workers(e->options.workers),
        .connection = e->options.connection,
        .spool = e->spool,
        .owner = {.job_id = e->job.id, .number = table + 1, .instance = e->job.instance},
        .bounds = {.barrier = e->job.swaps == 0 ? e->job.barrier : 0,
                   .exact = e->job.swaps == 0 ? e->job.exact : 0},
        .after = e->job.tables[table].applied,
        .skip_xid = e->job.swap_xid,
        .set_aside = job_is_reversed(&e->job),
    };

    *fresh = options.after == direction_start(e);
    if (!*fresh && !distrust_all(e, &options.bounds, err))
        return false;
    if (e->sweep_needed) /* rows may be missing until the sweep */
        options.bounds.exact = UINT64_MAX;
    t->apply = apply_open(&options, err);
    return t->apply != NULL;
}

/* Take over the proof of parity that the closed applies have left, or that the swap begins with. */
static void
take_proof(struct engine *e, bool fresh)
{
    bool kept = engine_has_dirty(e), ahead = false;

    for (int i = 0; i < e->table_count; i++) {
        struct engine_table *t = &e->tables[i];

        if (kept)
            apply_give_dirty(t->apply, t->dirty);
        else if (fresh) /* dirty from the swap on, at which both tables were equal */
            apply_dirty_start(t->apply);
        t->dirty = NULL;
        ahead = ahead || apply_has_beyond(t->apply);
    }
    e->proven = kept || (fresh && !ahead && e->job.mismatches == 0);
}

bool
stages_open_apply(struct engine *e, struct error *err)
{
    bool fresh = true;

    if (engine_applies(e))
        return true;
    if (!watch_now(e, err)) /* the definition may have been changed while no instance ran */
        return false;
    e->applying = apply_session_open(e->options.connection, e->job.id, err);
    if (e->applying == NULL || !verify_keys_prepare(e->applying, err))
        return false;
    for (int i = 0; i < e->table_count; i++) {
        bool this_fresh;

        if (!open_apply(e, i, &this_fresh, err))
            return false;
        fresh = fresh && this_fresh;
    }
    take_proof(e, e->job.swaps > 0 && fresh);
    e->proven = e->proven && !e->distrusted;
    return inactive_check(e, err);
}

void
stages_close(struct engine *e)
{
    validate_stop(e);
    if (engine_applies(e))
        e->report->changes_applied += engine_changes(e);
    for (int i = 0; i < e->table_count; i++) {
        struct engine_table *t = &e->tables[i];

        if (t->apply != NULL && e->proven)
            t->dirty = apply_take_dirty(t->apply);
        apply_close(t->apply);
        t->apply = NULL;
    }
    session_close(e->applying);
    e->applying = NULL;
    stream_stop(e->stream);
    e->stream = NULL;
    spool_close(e->spool);
    e->spool = NULL;
    e->proven = false;
}
