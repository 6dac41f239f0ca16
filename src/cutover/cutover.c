#include "cutover/cutover.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "sql/sql.h"

#define VACUUM_PATIENCE_MS 60000 /* how long to wait for a vacuum before it is made to give way */
#define VACUUM_POLL_MS 100
/* Autovacuum gives way to a waiting lock only after deadlock_timeout, by default one second. */
#define VACUUM_LOCK_TIMEOUT_MS 1500
#define OTHER_LOCKS_MS 100 /* longest wait for other locks (tables, a sequence) while one table's is held */
#define STATEMENT_MOST_MS 2000 /* of one statement under the lock */
#define OUTCOME_MOST_MS 60000  /* to find out what became of a commit whose answer was lost */

enum attempt { ATTEMPT_DONE, ATTEMPT_AGAIN, ATTEMPT_FAILED };

static bool
lock_not_available(const struct error *err)
{
    return strcmp(err->sqlstate, "55P03") == 0 || strcmp(err->sqlstate, "40P01") == 0 ||
           (strcmp(err->sqlstate, "57014") == 0 && !err->stopped); /* statement_timeout under the lock */
}

/* An array in SQL's text form. The caller frees it. */
static char *
source_oids(const struct cutover_request *request)
{
    struct buffer oids = {0};

    for (int i = 0; i < request->table_count; i++)
        buffer_printf(&oids, "%s%u", i > 0 ? "," : "{", request->plans[i]->source->oid);
    buffer_add_char(&oids, '}');
    return buffer_take(&oids);
}

/* Who is in the way, for the log and the last error. */
static void
describe_blocker(const struct cutover_request *request, struct error *err)
{
    struct result res = {0};
    struct error ignored = {0};
    char *oids = source_oids(request);

    if (session_query(request->session, &res, &ignored, sql_cutover_blockers, 1, oids) &&
        result_rows(&res) > 0)
        error_detail(err, "Process %s holds %s on %s, in a transaction that is %s s old.",
                     result_text(&res, 0, 0), result_text(&res, 0, 1),
                     request->table_count > 1 ? result_text(&res, 0, 5) : "the table",
                     result_text(&res, 0, 4));
    result_free(&res);
    error_clear(&ignored);
    free(oids);
}

/* True when a snapshot older than the new table's rows is open: it would see the table without them. */
static bool
old_snapshot_open(const struct cutover_request *request, bool *open, struct error *err)
{
    struct result res = {0};
    char xid[24];
    bool ok;

    *open = false;
    if (request->oldest_snapshot == 0)
        return true;
    snprintf(xid, sizeof(xid), "%" PRIu32, (uint32_t)request->oldest_snapshot);
    ok = session_query(request->session, &res, err, sql_cutover_old_snapshots, 1, xid);
    *open = ok && result_rows(&res) > 0;
    if (*open) {
        error_set(err, ERROR_LOCK, "a transaction is open whose snapshot would not see the new table's rows");
        error_detail(err, "Process %s has a snapshot that is %s transactions old.", result_text(&res, 0, 0),
                     result_text(&res, 0, 1));
    }
    result_free(&res);
    return ok;
}

/*
 * A vacuum of the original is waited for: its lock is the one that a short lock_timeout never displaces.
 * After a long wait one attempt, and no more, gives it the time to yield.
 */
static int
await_vacuum(const struct cutover_request *request, bool *displaced, struct error *err)
{
    int64_t until = clock_ms() + VACUUM_PATIENCE_MS;
    char *oids = source_oids(request);
    int timeout_ms = 0;

    while (timeout_ms == 0) {
        struct result res = {0};
        bool vacuum = session_query(request->session, &res, err, sql_cutover_blockers, 1, oids) &&
                      result_rows(&res) > 0 &&
                      strcmp(result_text(&res, 0, 1), "ShareUpdateExclusiveLock") == 0 &&
                      result_bool(&res, 0, 3);

        result_free(&res);
        if (!vacuum || *displaced) {
            timeout_ms = request->lock_timeout_ms;
        } else if (clock_ms() > until) {
            *displaced = true;
            timeout_ms = VACUUM_LOCK_TIMEOUT_MS;
        } else if (!clock_sleep(VACUUM_POLL_MS)) {
            timeout_ms = request->lock_timeout_ms;
        }
    }
    free(oids);
    return timeout_ms;
}

static bool
check_fingerprint(const struct cutover_request *request, const struct plan *plan, struct error *err)
{
    const struct table *source = plan->source;
    char *now = table_fingerprint_prepared(request->session, source->oid, err);
    bool ok = now != NULL && table_fingerprint_same(now, source->fingerprint, !request->other_indexes);

    if (now != NULL && !ok) {
        error_set(err, ERROR_FAILED, "the definition of %s was changed while the job was running",
                  plan->source_sql);
        error_detail(err,
                     "What hangs on the table is no longer what the plan was made for. Nothing was swapped.");
    }
    free(now);
    return ok;
}

static bool
check_fingerprints(const struct cutover_request *request, struct error *err)
{
    for (int i = 0; i < request->table_count; i++)
        if (!check_fingerprint(request, request->plans[i], err))
            return false;
    return true;
}

static bool
run_swap(const struct cutover_request *request, struct error *err)
{
    return session_pipeline(request->session, err, (const char *const *)request->swap->statements.items,
                            request->swap->statements.count);
}

/* Everything that happens while the lock is held, with the time each part took for those who look closely. */
static bool
swap(const struct cutover_request *request, struct error *err)
{
    const struct cutover_hooks *hooks = request->hooks;
    int64_t at[6] = {clock_us()};
    bool ok = hooks->drain(hooks->arg, err);

    at[1] = clock_us();
    ok = ok && hooks->check(hooks->arg, err);
    at[2] = clock_us();
    ok = ok && check_fingerprints(request, err);
    at[3] = clock_us();
    ok = ok && run_swap(request, err);
    at[4] = clock_us();
    ok = ok && hooks->record(hooks->arg, err);
    at[5] = clock_us();
    log_debug(
        "under the lock: drain %.1f ms, check %.1f ms, fingerprint %.1f ms, swap %.1f ms, record %.1f ms",
        (double)(at[1] - at[0]) / 1000, (double)(at[2] - at[1]) / 1000, (double)(at[3] - at[2]) / 1000,
        (double)(at[4] - at[3]) / 1000, (double)(at[5] - at[4]) / 1000);
    return ok;
}

/* How long another lock may be waited for while the first table's is held. */
static int
later_ms(const struct cutover_request *request)
{
    return request->lock_timeout_ms < OTHER_LOCKS_MS ? request->lock_timeout_ms : OTHER_LOCKS_MS;
}

/* What is known while the locks are taken, one after the other. */
struct locking {
    int64_t asked;       /* by clock_us(): the first one … */
    int64_t first;       /* … and when it was granted; 0: not yet */
    int64_t until;       /* by clock_ms(): the others must be there */
    const char *blocked; /* the one at hand */
};

/*
 * Whoever wants the first of them waits until we have the others too, or give up: so these must be had soon,
 * and well within the time after which the server would look for a deadlock and end an application's
 * transaction that has one of them and waits for the first.
 */
static bool
take_lock(const struct cutover_request *request, struct locking *l, int timeout_ms, const char *name,
          const char *sql, struct error *err)
{
    int64_t left = l->first == 0 ? timeout_ms : l->until - clock_ms();
    bool ok;

    l->blocked = name;
    ok = session_executef(request->session, err, "SET LOCAL lock_timeout = %d; %s", left > 1 ? (int)left : 1,
                          sql);
    if (ok && l->first == 0) {
        l->first = clock_us();
        l->until = clock_ms() + later_ms(request);
    }
    return ok;
}

/* The shadows first, and patiently: nobody uses them, but an autovacuum must be made to give way. */
static bool
lock_shadows(const struct cutover_request *request, struct error *err)
{
    bool ok = session_executef(request->session, err,
                               "BEGIN; SET LOCAL lock_timeout = %d; SET LOCAL synchronous_commit TO DEFAULT; "
                               "SET LOCAL client_min_messages = error",
                               VACUUM_LOCK_TIMEOUT_MS);

    for (int i = 0; ok && i < request->table_count; i++)
        ok = session_executef(request->session, err, "LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE",
                              request->plans[i]->shadow_sql);
    return ok;
}

/* What the swap changes beside the tables, in the order in which a query would come to it. */
static bool
lock_others(const struct cutover_request *request, struct locking *l, int timeout_ms, struct error *err)
{
    const struct string_list *locks = &request->swap->locks;

    for (int i = 0; i < locks->count; i++)
        if (!take_lock(request, l, timeout_ms, "what hangs on the table", locks->items[i], err))
            return false;
    return true;
}

static bool
lock_sources(const struct cutover_request *request, struct locking *l, int timeout_ms, bool last_first,
             struct error *err)
{
    for (int i = 0; i < request->table_count; i++) {
        const struct plan *plan = request->plans[last_first ? request->table_count - 1 - i : i];
        char *sql = mem_printf("LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE", plan->source_sql);
        bool ok = take_lock(request, l, timeout_ms, plan->source_sql, sql, err);

        free(sql);
        if (!ok)
            return false;
    }
    return true;
}

static bool
begin_and_lock(const struct cutover_request *request, int timeout_ms, bool last_first, struct locking *l,
               struct error *err)
{
    *l = (struct locking){.asked = clock_us(), .blocked = request->plans[0]->shadow_sql};
    if (!lock_shadows(request, err))
        return false;
    l->asked = clock_us();
    return lock_others(request, l, timeout_ms, err) &&
           lock_sources(request, l, timeout_ms, last_first, err) &&
           session_executef(request->session, err,
                            "SET LOCAL lock_timeout = %d; SET LOCAL statement_timeout = %d",
                            later_ms(request), STATEMENT_MOST_MS);
}

/* Give the lock back. The error that led here stays. */
static void
give_back(const struct cutover_request *request, bool entered)
{
    const struct cutover_hooks *hooks = request->hooks;
    struct error ignored = {0};

    session_rollback(request->session);
    if (entered && !hooks->leave(hooks->arg, false, &ignored))
        log_warning("after giving the lock back: %s", ignored.message);
    error_clear(&ignored);
}

static bool
own_transaction(const struct cutover_request *request, char xid[24], struct error *err)
{
    struct result res = {0};
    bool ok = session_row(request->session, &res, err, "SELECT pg_catalog.pg_current_xact_id()", 0);

    if (ok)
        snprintf(xid, 24, "%s", result_text(&res, 0, 0));
    result_free(&res);
    return ok;
}

/*
 * The connection died at the COMMIT: ask the server what became of it, do not guess. A commit that waits for
 * a standby is "in progress" until its process has ended.
 */
static bool
committed_all_the_same(const struct cutover_request *request, const char *xid, struct error *err)
{
    int64_t until = clock_ms() + OUTCOME_MOST_MS;
    bool known = false, committed = false;

    if (!err->connection_lost)
        return false;
    while (!known && clock_ms() < until) {
        struct error failed = {0};
        struct result res = {0};
        struct session *s = session_open(request->connection, SESSION_SQL, "cutover", &failed);

        if (s != NULL &&
            session_row(s, &res, &failed, "SELECT pg_catalog.pg_xact_status($1::pg_catalog.xid8)", 1, xid) &&
            !result_null(&res, 0, 0) && strcmp(result_text(&res, 0, 0), "in progress") != 0) {
            known = true;
            committed = strcmp(result_text(&res, 0, 0), "committed") == 0;
        }
        result_free(&res);
        session_close(s);
        error_clear(&failed);
        if (!known)
            clock_sleep(VACUUM_POLL_MS);
    }
    if (committed) {
        log_warning(
            "the connection was lost at the commit of the cutover: the server says that it is committed");
        error_clear(err);
    } else if (!known) {
        error_context(err, "whether the cutover was committed is not known");
    }
    return committed;
}

static enum attempt
try_once(const struct cutover_request *request, int timeout_ms, struct cutover_report *report,
         struct error *err)
{
    const struct cutover_hooks *hooks = request->hooks;
    struct locking locking = {0};
    bool open, entered = false;
    char xid[24];

    /* The fingerprint once before the lock: early news, and warm caches. */
    if (!check_fingerprints(request, err) || !old_snapshot_open(request, &open, err))
        return ATTEMPT_FAILED;
    if (open)
        return ATTEMPT_AGAIN;
    if (!begin_and_lock(request, timeout_ms, report->attempts % 2 == 0, &locking, err)) {
        session_rollback(request->session);
        if (!lock_not_available(err))
            return ATTEMPT_FAILED;
        error_set(err, ERROR_LOCK, "the lock on %s was not free within %d ms", locking.blocked,
                  locking.first == 0 ? timeout_ms : later_ms(request));
        describe_blocker(request, err);
        return ATTEMPT_AGAIN;
    }
    if (!old_snapshot_open(request, &open, err) || open || !(entered = hooks->enter(hooks->arg, err)) ||
        !swap(request, err) || !own_transaction(request, xid, err)) {
        bool again = open || err->kind == ERROR_LOCK || lock_not_available(err);

        give_back(request, entered);
        return again ? ATTEMPT_AGAIN : ATTEMPT_FAILED;
    }
    /* The point of no return. */
    if (!session_execute(request->session, err, "COMMIT") && !committed_all_the_same(request, xid, err)) {
        give_back(request, entered);
        return ATTEMPT_FAILED;
    }
    report->lock_wait_ms = (double)(locking.first - locking.asked) / 1000;
    report->lock_held_ms = (double)(clock_us() - locking.first) / 1000;
    return hooks->leave(hooks->arg, true, err) ? ATTEMPT_DONE : ATTEMPT_FAILED;
}

bool
cutover_run(const struct cutover_request *request, struct cutover_report *report, struct error *err)
{
    struct backoff backoff = {.first_ms = 100, .most_ms = 3000};
    bool displaced = false;

    memset(report, 0, sizeof(*report));
    if (!table_fingerprint_prepare(request->session, err))
        return false;
    while (report->attempts < request->attempts) {
        int timeout_ms = await_vacuum(request, &displaced, err);

        if (!request->hooks->prepare(request->hooks->arg, err))
            return false;
        report->attempts++;
        switch (try_once(request, timeout_ms, report, err)) {
        case ATTEMPT_DONE:
            error_clear(err); /* of the attempts before */
            return true;
        case ATTEMPT_FAILED:
            return false;
        case ATTEMPT_AGAIN:
            log_info("cutover attempt %d: %s%s%s", report->attempts, err->message,
                     err->detail != NULL ? ": " : "", err->detail != NULL ? err->detail : "");
            break;
        }
        if (!clock_sleep(backoff_next(&backoff))) {
            error_set(err, ERROR_FAILED, "stopped between two attempts to cut over");
            err->stopped = true;
            return false;
        }
    }
    return error_context(err, "no cutover within %d attempts", report->attempts);
}
