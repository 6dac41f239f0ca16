#include "validate.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "parallel.h"
#include "sql/sql.h"

#define POLL_MS 50
#define SHORT_LOCK_MS "200" /* whoever comes behind its request waits as long at most */
#define PATIENCE_MS (60 * 60 * 1000)
#define TRIES_LEAST 100 /* in that time */
#define TRIES_UNTOLD 3  /* then it is told that a lock is in the way */

/* The swap that led to the leg; NULL: none. */
static const struct plan_swap *
swap_before(const struct plan_set *plans, int leg)
{
    return leg == 0       ? NULL
           : leg % 2 == 0 ? plans->rollback
           : leg == 1     ? plans->cutover
                          : plans->cutover_again;
}

/* What it has left to do; NULL: nothing. */
static const struct string_list *
statements_of(const struct plan_set *plans, int leg)
{
    const struct plan_swap *swap = swap_before(plans, leg);

    return swap == NULL || swap->validate.count == 0 ? NULL : &swap->validate;
}

/* It was dropped by somebody after the swap, who need not be told, or is there already. */
static bool
passed_over(const struct error *err)
{
    return strcmp(err->sqlstate, "42P01") == 0 || strcmp(err->sqlstate, "42704") == 0 ||
           strcmp(err->sqlstate, "42710") == 0;
}

static bool
begins_with(const char *sql, const char *words)
{
    return strncmp(sql, words, strlen(words)) == 0;
}

/* What somebody would type who makes up for it. */
static const char *
by_hand(const char *sql)
{
    const char *locked = begins_with(sql, PLAN_LOCKS) ? strstr(sql, PLAN_LOCKED) : NULL;

    return locked == NULL ? sql : locked + strlen(PLAN_LOCKED);
}

/* The application may stand in the way of a lock: given up soon, and tried again. */
static bool
lock_not_available(const char *sql, const struct error *err)
{
    return strcmp(err->sqlstate, "55P03") == 0 || strcmp(err->sqlstate, "40P01") == 0 ||
           (begins_with(sql, PLAN_LOCKS) && strcmp(err->sqlstate, "57014") == 0 && !err->stopped);
}

/*
 * Row security as in an application's session: where it is forced, the check cannot do without. Of the locks
 * most stop no writer, and can be waited for until an autovacuum has given way.
 */
static char *
with_settings(const char *sql)
{
    return mem_printf("%s; SET LOCAL row_security TO on; %s",
                      begins_with(sql, PLAN_EACH_PART) ? "SET LOCAL lock_timeout TO " SHORT_LOCK_MS
                                                       : sql_lock_patiently,
                      sql);
}

/* A lock was not to be had: false when that has been so for too long. How long to pause, otherwise. */
static bool
try_again(struct validate_patience *p, const char *sql, int64_t *pause_ms)
{
    if (p->until_ms == 0) {
        p->pauses = (struct backoff){.first_ms = 200, .most_ms = 10000};
        p->until_ms = clock_ms() + PATIENCE_MS;
    }
    *pause_ms = backoff_next(&p->pauses);
    if (p->pauses.attempt == TRIES_UNTOLD)
        log_info("a lock stands in the way of this, which is tried again: %s", by_hand(sql));
    return clock_ms() < p->until_ms || p->pauses.attempt < TRIES_LEAST;
}

/* False when the connection was lost, or a stop was asked for. */
static bool
judge(const char *sql, struct error *err)
{
    if (err->connection_lost || err->stopped)
        return error_context(err, "validating foreign keys");
    if (!passed_over(err))
        log_warning("%s: %s%s%s; try again with: %s",
                    begins_with(sql, PLAN_LOCKS) ? "the key is missing on the partitioned table"
                                                 : "not validated, stays NOT VALID",
                    err->message, err->detail != NULL ? ": " : "", err->detail != NULL ? err->detail : "",
                    by_hand(sql));
    error_clear(err);
    return true;
}

static bool
begin(struct engine *e, const struct string_list *list)
{
    if (clock_ms() < e->validate_at_ms)
        return true;
    free(e->validating);
    e->validating = with_settings(list->items[e->validated]);
    e->validation =
        parallel_start(e->options.connection, "validate", (const char *const *)&e->validating, 1, 1);
    return e->validation != NULL;
}

/* Once a leg: at the job's end all are looked at again. */
static void
log_end(struct engine *e)
{
    if (e->validate_failed > 0)
        log_warning("not all foreign keys are validated, see above");
    else if (e->validate_told_leg != e->job.leg)
        log_info("foreign keys validated: %d", swap_before(e->plans, e->job.leg)->validated_keys);
    e->validate_told_leg = e->job.leg;
}

/* The one at hand is done with. */
static void
pass(struct engine *e, const struct string_list *list, bool ok)
{
    e->validate_patience.until_ms = 0;
    e->validate_failed += ok ? 0 : 1;
    if (++e->validated == list->count)
        log_end(e);
}

/*
 * A partitioned table's own key takes over those of its partitions. Where one of these is not valid it would
 * read the rows under its lock, and find what that one has found.
 */
static bool
in_vain(const char *sql, int failed)
{
    if (failed == 0 || !begins_with(sql, PLAN_LOCKS))
        return false;
    log_warning(
        "the key is missing on the partitioned table, because that of a partition is not valid; when it "
        "is: %s",
        by_hand(sql));
    return true;
}

/* The one under way has ended. */
static bool
end(struct engine *e, const struct string_list *list, struct error *err)
{
    bool ok = parallel_finish(e->validation, err), passed = ok || passed_over(err);
    const char *sql = list->items[e->validated];
    int64_t pause_ms;

    e->validation = NULL;
    if (!ok && lock_not_available(sql, err) && try_again(&e->validate_patience, sql, &pause_ms)) {
        error_clear(err);
        e->validate_at_ms = clock_ms() + pause_ms;
        return true;
    }
    if (!ok && !judge(list->items[e->validated], err))
        return false;
    pass(e, list, passed);
    return true;
}

bool
validate_some(struct engine *e, struct error *err)
{
    const struct string_list *list = statements_of(e->plans, e->job.leg);

    if (list == NULL || e->validated == list->count)
        return true;
    if (e->validation == NULL && in_vain(list->items[e->validated], e->validate_failed))
        return pass(e, list, false), true;
    if (e->validation == NULL)
        return begin(e, list);
    return !parallel_done(e->validation) || end(e, list, err);
}

bool
validate_all(struct engine *e, struct error *err)
{
    const struct string_list *list = statements_of(e->plans, e->job.leg);

    while (list != NULL && e->validated < list->count)
        if (!validate_some(e, err) || !engine_wait(e, POLL_MS, err))
            return false;
    return true;
}

void
validate_stop(struct engine *e)
{
    struct error ignored = {0};

    if (e->validation != NULL) {
        parallel_cancel(e->validation);
        parallel_finish(e->validation, &ignored);
    }
    error_clear(&ignored);
    e->validation = NULL;
    free(e->validating);
    e->validating = NULL;
    e->validated = e->validate_failed = 0;
    e->validate_patience.until_ms = 0;
    e->validate_at_ms = 0;
}

/* Try until the locks are there, or for too long. */
static bool
run_here(struct session *s, const char *sql, struct error *err)
{
    struct validate_patience patience = {0};
    char *text = with_settings(sql);
    int64_t pause_ms;
    bool ok;

    while (!(ok = session_execute(s, err, text)) && lock_not_available(sql, err) &&
           try_again(&patience, sql, &pause_ms)) {
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
validate_here(struct session *s, const struct plan_set *plans, int leg, struct error *err)
{
    const struct string_list *list = statements_of(plans, leg);

    int failed = 0;

    for (int i = 0; list != NULL && i < list->count; i++) {
        if (in_vain(list->items[i], failed) || run_here(s, list->items[i], err))
            continue;
        failed += passed_over(err) ? 0 : 1;
        if (!judge(list->items[i], err))
            return false;
    }
    return true;
}
