#include "cutover/cutover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/count.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/stop.h"
#include "obstacle.h"
#include "pg/redact.h"
#include "pg/sqlstate.h"
#include "sql/sql.h"

#define AUTOVACUUM_PATIENCE_MS 10000 /* how long to wait for autovacuums before they have to give way */
#define SHADOW_LOCK_MS 1500 /* an autovacuum gives way after deadlock_timeout, by default one second */
#define OUTCOME_POLL_MS 100
#define OTHER_LOCKS_MS 100 /* longest wait for other locks (tables, a sequence) while one table is locked */
#define STATEMENT_MOST_MS 2000 /* for one statement under the lock */
#define IDLE_MOST_MS 5000      /* between two statements; far longer than draining takes (see job/swap.c) */
/* For the whole transaction from the lock on, where the server has such a limit. */
#define LOCKED_MOST_MS 15000
#define OUTCOME_MOST_MS 60000 /* for finding out the outcome of a commit whose answer was lost */

#define OLD_SNAPSHOTS "pgrecast_old_snapshots" /* name of the prepared statement */

enum attempt { ATTEMPT_DONE, ATTEMPT_AGAIN, ATTEMPT_FAILED };

/* When each part of the work under the lock had ended; by clock_us(). */
struct times {
    int64_t locked, looked, drained, checked, swapped, committed;
};

static bool
cutover_lock_not_available(const struct error *err)
{
    return sqlstate_is(err, SQLSTATE_LOCK_NOT_AVAILABLE) || sqlstate_is(err, SQLSTATE_DEADLOCK_DETECTED) ||
           (sqlstate_is(err, SQLSTATE_QUERY_CANCELED) &&
            !err->stopped); /* statement_timeout has ended it under the lock */
}

/* How long to wait for another lock while the first table is locked. */
static int
later_ms(const struct cutover_request *request)
{
    return request->lock_timeout_ms < OTHER_LOCKS_MS ? request->lock_timeout_ms : OTHER_LOCKS_MS;
}

/* True when a snapshot older than the new table's rows is open: it would see the new table without them. */
static bool
old_snapshot_open(const struct result *res, struct error *err)
{
    if (result_rows(res) == 0)
        return false;
    error_set(err, ERROR_LOCK, "a transaction is open whose snapshot would not see the new table's rows");
    error_detail(err, "Process %s has a snapshot that is %s transactions old.", row_text(res, 0, "pid"),
                 row_text(res, 0, "age"));
    return true;
}

/*
 * The limits of the swap's transaction from the lock on. They are stated only here: for the transaction, and
 * for the hooks, which pin the session's settings again.
 */
static void
add_limits(const struct cutover_request *request, struct pipeline *p)
{
    const struct session_limits limits = {.lock_ms = later_ms(request),
                                          .statement_ms = STATEMENT_MOST_MS,
                                          .idle_ms = IDLE_MOST_MS,
                                          .transaction_ms = LOCKED_MOST_MS};
    char text[64];

    snprintf(text, sizeof(text), "SET LOCAL lock_timeout = %d", limits.lock_ms);
    pipeline_add(p, text);
    snprintf(text, sizeof(text), "SET LOCAL statement_timeout = %d", limits.statement_ms);
    pipeline_add(p, text);
    if (session_major(request->session) >= 17) {
        snprintf(text, sizeof(text), "SET LOCAL transaction_timeout = %d", limits.transaction_ms);
        pipeline_add(p, text);
    }
    session_set_limits(request->session, &limits);
}

/*
 * Check what would forbid the swap: old snapshots, and what the hook checks. Done under the lock, and once
 * before it, to find obstacles early and to warm the caches. *open: there are old snapshots, and err says
 * whose.
 */
static bool
look(const struct cutover_request *request, bool locked, bool *open, struct error *err)
{
    struct pipeline p = {0};
    struct params oldest = {0};
    int snapshots = -1, more;
    bool ok;

    if (locked)
        add_limits(request, &p);
    /* A definition is read under the same settings as for the plan. */
    session_add_settings(request->session, &p, false);
    if (request->oldest_snapshot != 0) {
        params_uint(&oldest, (uint32_t)request->oldest_snapshot);
        snapshots = p.count;
        pipeline_add_prepared_with(&p, OLD_SNAPSHOTS, &oldest);
    }
    more = p.count;
    request->hooks->look(request->hooks->arg, &p);
    session_add_settings(request->session, &p, true);
    ok = pipeline_run(request->session, &p, err);
    *open = ok && snapshots >= 0 && old_snapshot_open(pipeline_result(&p, snapshots), err);
    ok = ok && (*open || request->hooks->looked(request->hooks->arg, &p, more, err));
    pipeline_free(&p);
    return ok;
}

/*
 * A change of a migration tool's table must have met its row. In a rollback a row that is not there any more is no
 * obstacle: the table comes first.
 */
static bool
check_history(const struct planned *statement, int64_t rows, struct error *err)
{
    if (rows == 1)
        return true;
    if (statement->kind == PLANNED_HISTORY_BACK && rows == 0) {
        log_warning("what the migration tool has noted was changed since the cutover, and stays as it is: %s",
                    statement->sql);
        return true;
    }
    error_set(err, ERROR_LOCK, "the migration tool's table has %s to change",
              rows == 0 ? "no such row" : "several such rows");
    return error_detail(err, "%s", statement->sql);
}

/* The pipeline has the statements from its beginning. */
static bool
check_histories(const struct planned_list *statements, const struct pipeline *p, struct error *err)
{
    for (int i = 0; i < statements->count; i++)
        if ((statements->items[i].kind == PLANNED_HISTORY ||
             statements->items[i].kind == PLANNED_HISTORY_BACK) &&
            !check_history(&statements->items[i], result_affected(pipeline_result(p, i)), err))
            return false;
    return true;
}

/* Run the swap and record it, in one round trip. */
static bool
run_swap(const struct cutover_request *request, struct error *err)
{
    const struct planned_list *statements = &request->swap->statements;
    struct pipeline p = {0};
    bool ok;

    for (int i = 0; i < statements->count; i++)
        pipeline_add(&p, statements->items[i].sql);
    ok = request->hooks->record(request->hooks->arg, &p, err);
    if (!ok && p.failed >= 0 && p.failed < statements->count && error_is_of_a_row(err) &&
        statements->items[p.failed].kind == PLANNED_HISTORY)
        err->kind = ERROR_LOCK; /* somebody can put the row right, and the next attempt finds it so */
    ok = ok && check_histories(statements, &p, err);
    pipeline_free(&p);
    return ok;
}

/*
 * Everything that happens while the lock is held, up to the commit. The check is made while the marker is on
 * its way.
 */
static bool
swap(const struct cutover_request *request, struct times *times, bool *open, struct error *err)
{
    const struct cutover_hooks *hooks = request->hooks;
    bool ok;

    *open = false;
    ok = hooks->enter(hooks->arg, err) && look(request, true, open, err);
    if (*open)
        return false;
    times->looked = clock_us();
    ok = ok && hooks->drain(hooks->arg, err);
    times->drained = clock_us();
    ok = ok && hooks->check(hooks->arg, err);
    times->checked = clock_us();
    ok = ok && run_swap(request, err);
    times->swapped = clock_us();
    return ok;
}

/* State while the locks are requested one after the other. */
struct locking {
    int64_t asked;       /* when the first lock was requested; by clock_us() */
    int64_t first;       /* when it was granted; 0: not yet */
    const char *blocked; /* name of the lock that is requested now */
    int patience_ms;     /* how long to wait for it */
};

/* The locks after those on the shadows, in their order, each with a name for people. */
struct wanted {
    int count;
    const char **names;
    struct string_list sql;
};

static bool
own_transaction(const struct cutover_request *request, uint64_t *xid, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(request->session, &res, err, "SELECT pg_catalog.pg_current_xact_id() AS xid", 0);

    if (ok)
        *xid = row_uint(&res, 0, "xid");
    result_free(&res);
    return ok;
}

/*
 * The shadows are locked first, because nobody uses them.
 *
 * The commit does not wait for a standby, because it would do so under the lock. If this program is paused
 * (SIGSTOP, a suspended machine), the server ends the session, which releases the lock.
 */
static bool
lock_shadows(const struct cutover_request *request, struct locking *l, struct error *err)
{
    bool ok = session_executef(request->session, err,
                               "BEGIN; SET LOCAL lock_timeout = %d; SET LOCAL synchronous_commit = local; "
                               "SET LOCAL idle_in_transaction_session_timeout = %d; "
                               "SET LOCAL client_min_messages = error",
                               SHADOW_LOCK_MS, IDLE_MOST_MS);

    l->blocked = request->plans[0]->names.shadow_sql; /* also where none of the locks is requested */
    l->patience_ms = SHADOW_LOCK_MS;
    for (int i = 0; ok && i < request->table_count; i++) {
        l->blocked = request->plans[i]->names.shadow_sql;
        ok = session_executef(request->session, err, "LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE",
                              l->blocked);
    }
    for (int i = 0; ok && i < request->swap->first_locks.count; i++) {
        l->blocked = "a materialized view over the inactive table";
        ok = session_execute(request->session, err, request->swap->first_locks.items[i]);
    }
    return ok;
}

static void
want(struct wanted *w, const char *name, char *sql)
{
    w->names = mem_array(w->names, (size_t)w->count + 1, sizeof(*w->names));
    w->names[w->count++] = name;
    list_add(&w->sql, sql);
}

static void
wanted_free(struct wanted *w)
{
    free(w->names);
    list_free(&w->sql);
}

/*
 * Lists the objects that the swap changes beside the tables, in the order in which a query would lock them,
 * then the tables.
 */
static void
list_wanted(const struct cutover_request *request, bool last_first, struct wanted *w)
{
    const struct planned_list *others = &request->swap->locks;

    for (int i = 0; i < others->count; i++)
        want(w, "what depends on the table", mem_strdup(others->items[i].sql));
    for (int i = 0; i < request->table_count; i++) {
        const struct plan *plan = request->plans[last_first ? request->table_count - 1 - i : i];

        want(w, plan->names.source_sql,
             mem_printf("LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE", plan->names.source_sql));
    }
    for (int i = 0; i < request->table_count; i++) {
        const struct plan *plan = request->plans[i];

        /* a session may write a partition without naming the table */
        if (plan->source->partition_key != NULL)
            want(w, plan->names.source_sql,
                 mem_printf("LOCK TABLE %s IN ACCESS EXCLUSIVE MODE", plan->names.source_sql));
    }
}

static bool
lock_first(const struct cutover_request *request, const struct wanted *w, struct locking *l,
           struct error *err)
{
    l->blocked = w->names[0];
    l->patience_ms = request->lock_timeout_ms;
    l->asked = clock_us();
    if (!session_executef(request->session, err, "SET LOCAL lock_timeout = %d; %s", l->patience_ms,
                          w->sql.items[0]))
        return false;
    l->first = clock_us();
    return true;
}

/*
 * Every session that wants the first table waits until we have the other locks too, or give up. So all these
 * together must be granted soon. The time must be well below the one after which the server would search for
 * a deadlock and end an application's transaction that has one of the others and waits for the first table.
 */
static bool
lock_others(const struct cutover_request *request, const struct wanted *w, struct locking *l,
            struct error *err)
{
    struct pipeline p = {0};
    char timeout[64];
    bool ok;

    if (w->count == 1)
        return true;
    l->patience_ms = later_ms(request);
    snprintf(timeout, sizeof(timeout), "SET LOCAL lock_timeout = %d", l->patience_ms);
    pipeline_add(&p, timeout);
    for (int i = 1; i < w->count; i++)
        pipeline_add(&p, w->sql.items[i]);
    session_set_deadline(request->session, clock_ms() + l->patience_ms);
    ok = pipeline_run(request->session, &p, err);
    session_set_deadline(request->session, 0);
    if (!ok && p.failed > 0)
        l->blocked = w->names[p.failed];
    pipeline_free(&p);
    return ok;
}

static bool
begin_and_lock(const struct cutover_request *request, bool last_first, struct session **guard,
               struct locking *l, uint64_t *xid, struct error *err)
{
    struct wanted w = {0};
    bool ok;

    list_wanted(request, last_first, &w);
    obstacle_release(guard);
    ok = lock_shadows(request, l, err) && own_transaction(request, xid, err) &&
         lock_first(request, &w, l, err) && lock_others(request, &w, l, err);
    wanted_free(&w);
    return ok;
}

/* Release the locks. The error that was the reason stays. */
static void
give_back(const struct cutover_request *request)
{
    const struct cutover_hooks *hooks = request->hooks;
    struct error ignored = {0};

    session_rollback(request->session);
    session_set_limits(request->session, NULL);
    if (!hooks->leave(hooks->arg, false, &ignored))
        log_warning("after giving the lock back: %s", ignored.message);
    error_clear(&ignored);
}

/*
 * Ask once for the outcome of the transaction. A server that was promoted meanwhile may not have it, and may
 * have given its number to another transaction. So the swap is committed only where its record exists too.
 */
static bool
ask_outcome(const struct cutover_request *request, uint64_t xid, bool *committed)
{
    const struct cutover_hooks *hooks = request->hooks;
    struct session *s;
    struct params p = {0};
    struct result res = {0};
    struct error failed = {0};
    bool known = false;

    params_uint(&p, xid);
    s = session_open(request->connection, SESSION_SQL, "cutover", &failed);
    if (s != NULL &&
        session_row_with(s, &res, &failed, "SELECT pg_catalog.pg_xact_status($1::pg_catalog.xid8) AS status",
                         &p) &&
        !row_null(&res, 0, "status") && strcmp(row_text(&res, 0, "status"), "in progress") != 0) {
        *committed = strcmp(row_text(&res, 0, "status"), "committed") == 0;
        known = !*committed || hooks->is_recorded(hooks->arg, s, xid, committed, &failed);
    }
    result_free(&res);
    session_close(s);
    error_clear(&failed);
    return known;
}

/*
 * The connection was lost at the COMMIT: ask the server for the outcome, do not guess. A commit that waits
 * for a standby is "in progress" until its process has ended.
 */
static bool
committed_all_the_same(const struct cutover_request *request, uint64_t xid, struct error *err)
{
    int64_t until = clock_ms() + OUTCOME_MOST_MS;
    bool known = false, committed = false;

    if (!err->connection_lost)
        return false;
    stop_hold(); /* the outcome of the commit must be known even when the user stops the program */
    while (!known && clock_ms() < until) {
        known = ask_outcome(request, xid, &committed);
        if (!known)
            clock_sleep(OUTCOME_POLL_MS);
    }
    committed = known && committed;
    stop_release();
    if (committed) {
        log_warning(
            "the connection was lost at the commit of the cutover: the server says that it is committed");
        error_clear(err);
    } else if (!known) {
        error_context(err, "whether the cutover was committed is not known");
    }
    return committed;
}

static double
ms_between(int64_t from, int64_t to)
{
    return (double)(to - from) / 1000;
}

static void
report_times(const struct times *t, const struct locking *l, struct cutover_report *report)
{
    report->lock_wait_ms = ms_between(l->asked, l->first);
    report->lock_held_ms = ms_between(l->first, t->committed);
    log_debug("under the lock: locks %.1f ms, look %.1f ms, drain %.1f ms, check %.1f ms, swap %.1f ms, "
              "commit %.1f ms",
              ms_between(l->first, t->locked), ms_between(t->locked, t->looked),
              ms_between(t->looked, t->drained), ms_between(t->drained, t->checked),
              ms_between(t->checked, t->swapped), ms_between(t->swapped, t->committed));
}

/* The locks of a failed attempt are released. The time for which they were held counts too. */
static void
report_in_vain(const struct locking *l, struct cutover_report *report)
{
    if (l->first != 0)
        report->held_in_vain_ms += ms_between(l->first, clock_us());
}

static enum attempt
try_once(const struct cutover_request *request, struct session **guard, struct cutover_report *report,
         struct error *err)
{
    const struct cutover_hooks *hooks = request->hooks;
    struct locking locking = {0};
    struct times times = {0};
    uint64_t xid;
    bool open;

    if (!look(request, false, &open, err))
        return err->kind == ERROR_LOCK ? ATTEMPT_AGAIN : ATTEMPT_FAILED;
    if (open)
        return ATTEMPT_AGAIN;
    if (!begin_and_lock(request, report->attempts % 2 == 0, guard, &locking, &xid, err)) {
        session_rollback(request->session);
        session_set_limits(request->session, NULL);
        report_in_vain(&locking, report);
        if (!cutover_lock_not_available(err))
            return ATTEMPT_FAILED;
        error_set(err, ERROR_LOCK, "the lock on %s was not free within %d ms", locking.blocked,
                  locking.patience_ms);
        obstacle_describe(request, err);
        return ATTEMPT_AGAIN;
    }
    times.locked = clock_us();
    if (!swap(request, &times, &open, err)) {
        bool again = open || err->kind == ERROR_LOCK || cutover_lock_not_available(err);

        if (again) /* also where the server reports it, and not the check */
            err->kind = ERROR_LOCK;
        give_back(request);
        report_in_vain(&locking, report);
        return again ? ATTEMPT_AGAIN : ATTEMPT_FAILED;
    }
    /* The point of no return. */
    if (!session_commit(request->session, err) && !committed_all_the_same(request, xid, err)) {
        give_back(request);
        report_in_vain(&locking, report);
        return ATTEMPT_FAILED;
    }
    times.committed = clock_us();
    session_set_limits(request->session, NULL);
    report_times(&times, &locking, report);
    return hooks->leave(hooks->arg, true, err) ? ATTEMPT_DONE : ATTEMPT_FAILED;
}

/*
 * One attempt, and the work before it that needs no lock. prepare is called last, directly before the locks.
 * Where autovacuums have to give way, it is called before that too, because its first call may take long.
 */
static enum attempt
attempt(const struct cutover_request *request, int64_t patient_until, struct cutover_report *report,
        struct error *err)
{
    const struct cutover_hooks *hooks = request->hooks;
    struct session *guard = NULL;
    enum attempt outcome = ATTEMPT_FAILED;
    bool any;

    if (!obstacle_any(request, &any, err) || (any && !hooks->prepare(hooks->arg, err)))
        return ATTEMPT_FAILED;
    if (any && !obstacle_clear(request, patient_until, &guard, err)) {
        report->attempts++;
        return err->kind == ERROR_LOCK ? ATTEMPT_AGAIN : ATTEMPT_FAILED;
    }
    if (hooks->prepare(hooks->arg, err)) {
        report->attempts++;
        outcome = try_once(request, &guard, report, err);
    }
    obstacle_release(&guard);
    return outcome;
}

bool
cutover_run(const struct cutover_request *request, struct cutover_report *report, struct error *err)
{
    struct backoff backoff = {.first_ms = 100, .most_ms = 3000};
    int64_t patient_until = clock_ms() + AUTOVACUUM_PATIENCE_MS;

    memset(report, 0, sizeof(*report));
    if (!session_prepare(request->session, err, OLD_SNAPSHOTS, sql_cutover_old_snapshots))
        return false;
    while (report->attempts < request->attempts) {
        switch (attempt(request, patient_until, report, err)) {
        case ATTEMPT_DONE:
            error_clear(err); /* the error of the attempt before */
            return true;
        case ATTEMPT_FAILED:
            return false;
        case ATTEMPT_AGAIN:
            log_info("%s attempt %d: %s%s%s", request->name, report->attempts, err->message,
                     err->detail != NULL ? ": " : "", err->detail != NULL ? err->detail : "");
            request->hooks->given_up(request->hooks->arg, report->attempts, err);
            break;
        }
        if (report->attempts < request->attempts && !clock_sleep(backoff_next(&backoff))) {
            error_set(err, ERROR_FAILED, "stopped between two attempts of the %s", request->name);
            err->stopped = true;
            return false;
        }
    }
    return error_context(err, "no %s within %d %s", request->name, report->attempts,
                         count_word(report->attempts, "attempt", "attempts"));
}
