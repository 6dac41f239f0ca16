#include "cutover/cutover.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "obstacle.h"
#include "sql/sql.h"

#define AUTOVACUUM_PATIENCE_MS 10000 /* how long to wait for autovacuums before they are made to give way */
#define SHADOW_LOCK_MS 1500 /* an autovacuum gives way after deadlock_timeout, by default one second */
#define OUTCOME_POLL_MS 100
#define OTHER_LOCKS_MS 100 /* longest wait for other locks (tables, a sequence) while one table's is held */
#define STATEMENT_MOST_MS 2000 /* of one statement under the lock */
#define OUTCOME_MOST_MS 60000  /* to find out what became of a commit whose answer was lost */

#define OLD_SNAPSHOTS "pgrecast_old_snapshots" /* the prepared statement */

enum attempt { ATTEMPT_DONE, ATTEMPT_AGAIN, ATTEMPT_FAILED };

/* By clock_us(): when a part of what is done under the lock was over. */
struct times {
    int64_t locked, looked, drained, checked, swapped, committed;
};

static bool
lock_not_available(const struct error *err)
{
    return strcmp(err->sqlstate, "55P03") == 0 || strcmp(err->sqlstate, "40P01") == 0 ||
           (strcmp(err->sqlstate, "57014") == 0 && !err->stopped); /* statement_timeout under the lock */
}

/* How long another lock may be waited for while the first table's is held. */
static int
later_ms(const struct cutover_request *request)
{
    return request->lock_timeout_ms < OTHER_LOCKS_MS ? request->lock_timeout_ms : OTHER_LOCKS_MS;
}

/* True when a snapshot older than the new table's rows is open: it would see the table without them. */
static bool
old_snapshot_open(const struct result *res, struct error *err)
{
    if (result_rows(res) == 0)
        return false;
    error_set(err, ERROR_LOCK, "a transaction is open whose snapshot would not see the new table's rows");
    error_detail(err, "Process %s has a snapshot that is %s transactions old.", result_text(res, 0, 0),
                 result_text(res, 0, 1));
    return true;
}

static bool
check_fingerprint(const struct cutover_request *request, const struct plan *plan, const struct result *res,
                  struct error *err)
{
    const struct table *source = plan->source;

    if (result_rows(res) == 1 &&
        table_fingerprint_same(result_text(res, 0, 0), source->fingerprint, !request->other_indexes))
        return true;
    error_set(err, ERROR_FAILED, "the definition of %s was changed while the job was running",
              plan->source_sql);
    return error_detail(
        err, "What hangs on the table is no longer what the plan was made for. Nothing was swapped.");
}

/*
 * What would forbid the swap: old snapshots, another definition. Looked for under the lock, and once before
 * it: early news, and warm caches. *open: there are such snapshots, and err says whose.
 */
static bool
look(const struct cutover_request *request, bool locked, bool *open, struct error *err)
{
    struct pipeline p = {0};
    int snapshots = -1, fingerprints;
    char text[64];
    bool ok;

    if (locked) {
        snprintf(text, sizeof(text), "SET LOCAL lock_timeout = %d", later_ms(request));
        pipeline_add(&p, text);
        snprintf(text, sizeof(text), "SET LOCAL statement_timeout = %d", STATEMENT_MOST_MS);
        pipeline_add(&p, text);
    }
    if (request->oldest_snapshot != 0) {
        snprintf(text, sizeof(text), "%" PRIu32, (uint32_t)request->oldest_snapshot);
        snapshots = p.count;
        pipeline_add_prepared(&p, OLD_SNAPSHOTS, 1, text);
    }
    fingerprints = p.count;
    for (int i = 0; i < request->table_count; i++)
        table_fingerprint_add(&p, request->plans[i]->source->oid);
    ok = pipeline_run(request->session, &p, err);
    *open = ok && snapshots >= 0 && old_snapshot_open(pipeline_result(&p, snapshots), err);
    for (int i = 0; ok && !*open && i < request->table_count; i++)
        ok = check_fingerprint(request, request->plans[i], pipeline_result(&p, fingerprints + i), err);
    pipeline_free(&p);
    return ok;
}

/* The swap and what is recorded of it, in one round trip. */
static bool
run_swap(const struct cutover_request *request, struct error *err)
{
    const struct string_list *statements = &request->swap->statements;
    struct pipeline p = {0};
    bool ok;

    for (int i = 0; i < statements->count; i++)
        pipeline_add(&p, statements->items[i]);
    ok = request->hooks->record(request->hooks->arg, &p, err);
    pipeline_free(&p);
    return ok;
}

/*
 * Everything that happens while the lock is held, up to the commit. The look comes while the marker is on its
 * way.
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

/* What is known while the locks are taken, one after the other. */
struct locking {
    int64_t asked;       /* by clock_us(): the first one … */
    int64_t first;       /* … and when it was granted; 0: not yet */
    const char *blocked; /* the one at hand … */
    int patience_ms;     /* … and how long it is waited for */
};

/* The locks after the shadows' in their order, each with a name for people. */
struct wanted {
    int count;
    const char **names;
    struct string_list sql;
};

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

/* The shadows first: nobody uses them. */
static bool
lock_shadows(const struct cutover_request *request, struct locking *l, struct error *err)
{
    bool ok = session_executef(request->session, err,
                               "BEGIN; SET LOCAL lock_timeout = %d; SET LOCAL synchronous_commit TO DEFAULT; "
                               "SET LOCAL client_min_messages = error",
                               SHADOW_LOCK_MS);

    l->blocked = request->plans[0]->shadow_sql; /* also where it comes to none */
    l->patience_ms = SHADOW_LOCK_MS;
    for (int i = 0; ok && i < request->table_count; i++) {
        l->blocked = request->plans[i]->shadow_sql;
        ok = session_executef(request->session, err, "LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE",
                              l->blocked);
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

/* What the swap changes beside the tables, in the order in which a query would come to it, then the tables.
 */
static void
list_wanted(const struct cutover_request *request, bool last_first, struct wanted *w)
{
    const struct string_list *others = &request->swap->locks;

    for (int i = 0; i < others->count; i++)
        want(w, "what hangs on the table", mem_strdup(others->items[i]));
    for (int i = 0; i < request->table_count; i++) {
        const struct plan *plan = request->plans[last_first ? request->table_count - 1 - i : i];

        want(w, plan->source_sql,
             mem_printf("LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE", plan->source_sql));
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
 * Whoever wants the first of them waits until we have the others too, or give up: so all these together must
 * be had soon, and well within the time after which the server would look for a deadlock and end an
 * application's transaction that has one of them and waits for the first.
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
               struct locking *l, char xid[24], struct error *err)
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

/* Give the lock back. The error that led here stays. */
static void
give_back(const struct cutover_request *request)
{
    const struct cutover_hooks *hooks = request->hooks;
    struct error ignored = {0};

    session_rollback(request->session);
    if (!hooks->leave(hooks->arg, false, &ignored))
        log_warning("after giving the lock back: %s", ignored.message);
    error_clear(&ignored);
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
            clock_sleep(OUTCOME_POLL_MS);
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

static enum attempt
try_once(const struct cutover_request *request, struct session **guard, struct cutover_report *report,
         struct error *err)
{
    const struct cutover_hooks *hooks = request->hooks;
    struct locking locking = {0};
    struct times times = {0};
    char xid[24];
    bool open;

    if (!look(request, false, &open, err))
        return ATTEMPT_FAILED;
    if (open)
        return ATTEMPT_AGAIN;
    if (!begin_and_lock(request, report->attempts % 2 == 0, guard, &locking, xid, err)) {
        session_rollback(request->session);
        if (!lock_not_available(err))
            return ATTEMPT_FAILED;
        error_set(err, ERROR_LOCK, "the lock on %s was not free within %d ms", locking.blocked,
                  locking.patience_ms);
        obstacle_describe(request, err);
        return ATTEMPT_AGAIN;
    }
    times.locked = clock_us();
    if (!swap(request, &times, &open, err)) {
        bool again = open || err->kind == ERROR_LOCK || lock_not_available(err);

        give_back(request);
        return again ? ATTEMPT_AGAIN : ATTEMPT_FAILED;
    }
    /* The point of no return. */
    if (!session_execute(request->session, err, "COMMIT") && !committed_all_the_same(request, xid, err)) {
        give_back(request);
        return ATTEMPT_FAILED;
    }
    times.committed = clock_us();
    report_times(&times, &locking, report);
    return hooks->leave(hooks->arg, true, err) ? ATTEMPT_DONE : ATTEMPT_FAILED;
}

/*
 * One attempt, with what is to be done before it outside of all locks. To prepare comes last, and before the
 * way is cleared too where that is to be done: the first time it may take long.
 */
static enum attempt
attempt(const struct cutover_request *request, int64_t patient_until, struct cutover_report *report,
        struct error *err)
{
    const struct cutover_hooks *hooks = request->hooks;
    struct session *guard = NULL;
    enum attempt outcome = ATTEMPT_FAILED;
    bool any;

    report->attempts++;
    if (!obstacle_any(request, &any, err) || (any && !hooks->prepare(hooks->arg, err)))
        return ATTEMPT_FAILED;
    if (any && !obstacle_clear(request, patient_until, &guard, err))
        return err->kind == ERROR_LOCK ? ATTEMPT_AGAIN : ATTEMPT_FAILED;
    if (hooks->prepare(hooks->arg, err))
        outcome = try_once(request, &guard, report, err);
    obstacle_release(&guard);
    return outcome;
}

bool
cutover_run(const struct cutover_request *request, struct cutover_report *report, struct error *err)
{
    struct backoff backoff = {.first_ms = 100, .most_ms = 3000};
    int64_t patient_until = clock_ms() + AUTOVACUUM_PATIENCE_MS;

    memset(report, 0, sizeof(*report));
    if (!table_fingerprint_prepare(request->session, err) ||
        !session_prepare(request->session, err, OLD_SNAPSHOTS, sql_cutover_old_snapshots))
        return false;
    while (report->attempts < request->attempts) {
        switch (attempt(request, patient_until, report, err)) {
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
