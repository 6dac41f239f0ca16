#include "validate.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/sqlstate.h"
#include "parallel.h"
#include "pg/redact.h"
#include "pg/sqlstate.h"
#include "sql/sql.h"
#include "waits.h"

#define POLL_MS 50
#define SESSION_NAME "pgrecast validate" /* on the server */
#define SHORT_LOCK_MS "200" /* other sessions that queue behind its lock request wait no longer than this */
#define PATIENCE_MS (60 * 60 * 1000)
#define TRIES_LEAST 100       /* a lock is given up only after the time above and so many tries */
#define TRIES_BEFORE_NOTICE 3 /* after so many tries the log says that a lock is in the way */

/* The last swap of a job that has made so many; NULL: it has made none. */
static const struct plan_swap *
swap_before(const struct plan_set *plans, int swaps)
{
    return swaps == 0       ? NULL
           : swaps % 2 == 0 ? plans->rollback
           : swaps == 1     ? plans->cutover
                            : plans->cutover_again;
}

/* The statements that the swap has left to run; NULL: none. */
static const struct planned_list *
statements_of(const struct plan_set *plans, int swaps)
{
    const struct plan_swap *swap = swap_before(plans, swaps);

    return swap == NULL || swap->validate.count == 0 ? NULL : &swap->validate;
}

/* Errors that are no failure: somebody has dropped the object after the swap, or it exists already. */
static bool
passed_over(const struct error *err)
{
    return sqlstate_is(err, SQLSTATE_UNDEFINED_TABLE) || sqlstate_is(err, SQLSTATE_UNDEFINED_OBJECT) ||
           sqlstate_is(err, SQLSTATE_DUPLICATE_OBJECT) || sqlstate_is(err, PLANNED_DONE);
}

/* The statement that a user can type to do the same. */
static const char *
by_hand(const struct planned *statement)
{
    return statement->by_hand != NULL ? statement->by_hand : statement->sql;
}

/* The application may hold a conflicting lock. The wait is given up soon, and tried again later. */
static bool
validate_lock_not_available(const struct planned *statement, const struct error *err)
{
    return sqlstate_is(err, SQLSTATE_LOCK_NOT_AVAILABLE) || sqlstate_is(err, SQLSTATE_DEADLOCK_DETECTED) ||
           (statement->kind == PLANNED_TAKE_OVER && sqlstate_is(err, SQLSTATE_QUERY_CANCELED) &&
            !err->stopped);
}

/*
 * Row security is as in an application's session: where it is forced, the check needs it. Most of the locks
 * block no writer, so their wait may last until an autovacuum has given way.
 */
static char *
with_settings(const struct planned *statement)
{
    return mem_printf("%s; SET LOCAL row_security TO on; %s",
                      statement->kind == PLANNED_EACH_PART ? "SET LOCAL lock_timeout TO " SHORT_LOCK_MS
                                                           : sql_lock_patiently,
                      statement->sql);
}

/* A lock was not granted. Sets how long to pause; false where it has been refused for too long. */
static bool
try_again(struct validate_patience *p, const struct planned *statement, int64_t *pause_ms)
{
    if (p->until_ms == 0) {
        p->pauses = (struct backoff){.first_ms = 200, .most_ms = 10000};
        p->until_ms = clock_ms() + PATIENCE_MS;
    }
    *pause_ms = backoff_next(&p->pauses);
    if (p->pauses.attempt == TRIES_BEFORE_NOTICE)
        log_info("a lock stands in the way of this, which is tried again: %s", by_hand(statement));
    return clock_ms() < p->until_ms || p->pauses.attempt < TRIES_LEAST;
}

/* False where the connection was lost, or where a stop was requested. */
static bool
validate_judge(const struct planned *statement, struct error *err)
{
    if (err->connection_lost || err->stopped)
        return error_context(err, "validating foreign keys");
    error_redact(err);
    if (!passed_over(err))
        log_warning("%s: %s%s%s; try again with: %s",
                    statement->kind == PLANNED_TAKE_OVER ? "the key is missing on the partitioned table"
                                                         : "not validated, stays NOT VALID",
                    err->message, err->detail != NULL ? ": " : "", err->detail != NULL ? err->detail : "",
                    by_hand(statement));
    error_clear(err);
    return true;
}

static bool
validate_begin(struct engine *e, const struct planned_list *list)
{
    if (clock_ms() < e->validation.at_ms)
        return true;
    free(e->validation.text);
    e->validation.text = with_settings(&list->items[e->validation.done]);
    e->validation.looked = false;
    e->validation.running =
        parallel_start(e->options.connection, "validate", (const char *const *)&e->validation.text, 1, 1);
    return e->validation.running != NULL;
}

/* Logged once in each direction: at the job's end all constraints are looked at again. */
static void
log_end(struct engine *e)
{
    if (e->validation.failed > 0)
        log_warning("not all foreign keys are validated, see above");
    else if (e->validation.reported != e->job.swaps)
        log_info("foreign keys validated: %d", swap_before(e->plans, e->job.swaps)->validated_keys);
    e->validation.reported = e->job.swaps;
}

/* The current constraint is done. */
static void
pass(struct engine *e, const struct planned_list *list, bool ok)
{
    e->validation.patience.until_ms = 0;
    waits_settle(e, SESSION_NAME);
    e->validation.failed += ok ? 0 : 1;
    if (++e->validation.done == list->count)
        log_end(e);
}

/*
 * The key of a partitioned table takes over the keys of its partitions. Where one of these is not valid, the
 * statement would read the rows under its lock, and fail as the validation of that key has failed.
 */
static bool
in_vain(const struct planned *statement, int failed)
{
    if (failed == 0 || statement->kind != PLANNED_TAKE_OVER)
        return false;
    log_warning(
        "the key is missing on the partitioned table, because that of a partition is not valid; when it "
        "is: %s",
        by_hand(statement));
    return true;
}

/* The statement that ran has ended. */
static bool
end(struct engine *e, const struct planned_list *list, struct error *err)
{
    bool ok = parallel_finish(e->validation.running, err), passed = ok || passed_over(err);
    const struct planned *statement = &list->items[e->validation.done];
    int64_t pause_ms;

    e->validation.running = NULL;
    if (!ok && validate_lock_not_available(statement, err) &&
        try_again(&e->validation.patience, statement, &pause_ms)) {
        error_clear(err);
        e->validation.at_ms = clock_ms() + pause_ms;
        return true;
    }
    if (!ok && !validate_judge(statement, err))
        return false;
    pass(e, list, passed);
    return true;
}

/*
 * What is waited for is seen once in each try, while a lock is requested that was refused before: the request lasts for a
 * moment only.
 */
static bool
look_once(struct engine *e, struct error *err)
{
    return e->validation.looked || waits_look_for(e, SESSION_NAME, &e->validation.looked, err);
}

bool
validate_some(struct engine *e, struct error *err)
{
    const struct planned_list *list = statements_of(e->plans, e->job.swaps);

    if (list == NULL || e->validation.done == list->count)
        return true;
    if (e->validation.running == NULL && in_vain(&list->items[e->validation.done], e->validation.failed))
        return pass(e, list, false), true;
    if (e->validation.running == NULL)
        return validate_begin(e, list);
    if (parallel_done(e->validation.running))
        return end(e, list, err);
    return e->validation.patience.until_ms == 0 || look_once(e, err);
}

bool
validate_all(struct engine *e, struct error *err)
{
    const struct planned_list *list = statements_of(e->plans, e->job.swaps);

    while (list != NULL && e->validation.done < list->count)
        if (!validate_some(e, err) || !engine_wait(e, POLL_MS, err))
            return false;
    return true;
}

void
validate_stop(struct engine *e)
{
    struct error ignored = {0};

    if (e->validation.running != NULL) {
        parallel_cancel(e->validation.running);
        parallel_finish(e->validation.running, &ignored);
    }
    error_clear(&ignored);
    e->validation.running = NULL;
    free(e->validation.text);
    e->validation.text = NULL;
    e->validation.done = e->validation.failed = 0;
    e->validation.patience.until_ms = 0;
    e->validation.at_ms = 0;
}

/* Try until the locks are granted, or have been refused for too long. */
static bool
run_here(struct session *s, const struct planned *statement, struct error *err)
{
    struct validate_patience patience = {0};
    char *text = with_settings(statement);
    int64_t pause_ms;
    bool ok;

    while (!(ok = session_execute(s, err, text)) && validate_lock_not_available(statement, err) &&
           try_again(&patience, statement, &pause_ms)) {
        if (!clock_sleep(pause_ms)) {
            err->stopped = true;
            break;
        }
        error_clear(err);
    }
    free(text);
    return ok;
}

bool
validate_here(struct session *s, const struct plan_set *plans, int swaps, struct error *err)
{
    const struct planned_list *list = statements_of(plans, swaps);

    int failed = 0;

    for (int i = 0; list != NULL && i < list->count; i++) {
        if (in_vain(&list->items[i], failed) || run_here(s, &list->items[i], err))
            continue;
        failed += passed_over(err) ? 0 : 1;
        if (!validate_judge(&list->items[i], err))
            return false;
    }
    return true;
}
