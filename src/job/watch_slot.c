/* The replication slot while the job runs: whether it exists, has its log, and is used by this program's stream. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/command.h"
#include "core/log.h"
#include "core/mem.h"
#include "pg/params.h"
#include "sql/sql.h"
#include "watch.h"

static bool
read_slot(struct engine *e, struct result *res, struct error *err)
{
    struct params p = {0};

    params_text(&p, e->job.slot_name);
    return session_query_with(e->control, res, err, sql_slot, &p);
}

/* Set the error of a slot that is gone or was invalidated. False: it is neither. */
static bool
judge_slot(const struct engine *e, const struct result *res, struct error *err)
{
    if (result_rows(res) > 0 && !row_bool(res, 0, "lost"))
        return false;
    if (result_rows(res) == 0) {
        error_set(err, ERROR_FAILED, "replication slot \"%s\" is gone", e->job.slot_name);
        error_detail(err, "It was dropped, or the server failed over to one that has no copy of it.");
    } else {
        error_set(err, ERROR_FAILED, "replication slot \"%s\" was invalidated by the server%s%s",
                  e->job.slot_name, row_null(res, 0, "reason") ? "" : ": ",
                  row_null(res, 0, "reason") ? "" : row_text(res, 0, "reason"));
        error_detail(err,
                     "It held more WAL than max_slot_wal_keep_size allows, or was taken away for another "
                     "reason in the server's log.");
    }
    if (job_is_reversed(&e->job))
        error_hint(
            err,
            "A rollback is no longer possible; the new table is active. End the job with: " COMMAND("finish"),
            e->job.name);
    else
        error_hint(err,
                   "The table is untouched. Remove what is left of the job with: " COMMAND(
                       "abort") "; then "
                                "start it again.",
                   e->job.name);
    return true;
}

bool
watch_slot_lost(struct engine *e, struct error *err)
{
    struct result res = {0};
    struct error ignored = {0};
    bool lost = read_slot(e, &res, &ignored) && judge_slot(e, &res, err);

    result_free(&res);
    error_clear(&ignored);
    return lost;
}

/* No swap is possible any more, and `status` says why. */
static bool
hold_for_good(struct engine *e, const char *what, struct error *err)
{
    struct error failed = {0};
    json_t *changes =
        json_pack("[{s:s+, s:n, s:s}]", "object", "slot ", e->job.slot_name, "property", "what", what);
    char *json = mem_checked(json_dumps(changes, JSON_COMPACT));

    if (!job_state_hold(e->control, &e->job, err->message, json, true, &failed))
        error_move(err, &failed);
    error_clear(&failed);
    free(json);
    json_decref(changes);
    return false;
}

/* Set the error of a slot that another session uses. Returns false. */
static bool
refuse_busy(const struct engine *e, const struct result *res, struct error *err)
{
    bool named = !row_null(res, 0, "role");

    error_set(err, ERROR_FAILED, "replication slot \"%s\" is used by another session, process %s%s%s",
              e->job.slot_name, row_text(res, 0, "active_pid"), named ? " of role " : "",
              named ? row_text(res, 0, "role") : "");
    error_detail(err, "Changes that it confirms are not sent to the job.");
    return error_hint(err, "End that session: SELECT pg_terminate_backend(%s);",
                      row_text(res, 0, "active_pid"));
}

/*
 * The stream of this program has lost the slot. The connection counts as lost, so that the job is taken again,
 * which finds out whether the slot is free and has moved.
 */
static bool
check_user(const struct engine *e, const struct result *res, struct error *err)
{
    if (!row_null(res, 0, "active_pid") && row_int(res, 0, "active_pid") == stream_pid(e->stream))
        return true;
    if (row_null(res, 0, "active_pid"))
        error_set(err, ERROR_FAILED, "the server has ended the stream from replication slot \"%s\"",
                  e->job.slot_name);
    else
        refuse_busy(e, res, err);
    err->connection_lost = true;
    return false;
}

static void
warn_unreserved(struct engine *e, const struct result *res)
{
    bool unreserved = row_bool(res, 0, "unreserved");

    if (unreserved && !e->slot_unreserved)
        log_warning("replication slot \"%s\" holds more WAL than max_slot_wal_keep_size allows: the server "
                    "may invalidate it at any checkpoint, which ends the job. Raise that setting and reload, "
                    "or let the job catch up",
                    e->job.slot_name);
    e->slot_unreserved = unreserved;
}

bool
watch_slot(struct engine *e, struct error *err)
{
    struct result res = {0};
    bool ok;

    if (e->stream == NULL)
        return true;
    ok = read_slot(e, &res, err);
    if (ok && judge_slot(e, &res, err))
        ok = hold_for_good(e, result_rows(&res) == 0 ? "dropped" : "changed", err);
    ok = ok && check_user(e, &res, err);
    if (ok)
        warn_unreserved(e, &res);
    result_free(&res);
    return ok;
}

bool
watch_slot_busy(struct engine *e, struct error *err)
{
    struct result res = {0};
    struct error failed = {0};

    if (read_slot(e, &res, &failed) && result_rows(&res) > 0 && !row_null(&res, 0, "active_pid"))
        refuse_busy(e, &res, err);
    result_free(&res);
    error_clear(&failed);
    return false;
}
