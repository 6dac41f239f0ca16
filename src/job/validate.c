#include "validate.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "parallel.h"

#define POLL_MS 50
#define LOCK_TIMEOUT_MS 200 /* of one try; whoever comes behind its request waits as long at most */
#define PAUSE_MS 500
#define TRIES_MOST 5000

/* What the swap that led to the leg has left to do; NULL: nothing. */
static const struct string_list *
statements_of(const struct plan_set *plans, int leg)
{
    const struct plan_swap *swap = leg == 0       ? NULL
                                   : leg % 2 == 0 ? plans->rollback
                                   : leg == 1     ? plans->cutover
                                                  : plans->cutover_again;

    return swap == NULL || swap->validate.count == 0 ? NULL : &swap->validate;
}

/* It was dropped by somebody after the swap, who need not be told, or is there already. */
static bool
passed_over(const struct error *err)
{
    return strcmp(err->sqlstate, "42P01") == 0 || strcmp(err->sqlstate, "42704") == 0 ||
           strcmp(err->sqlstate, "42710") == 0;
}

/* Of a partitioned table, whose own key takes over those of its partitions. */
static bool
takes_over(const char *sql)
{
    return strncmp(sql, PLAN_LOCKS_FIRST, strlen(PLAN_LOCKS_FIRST)) == 0;
}

/* What somebody would type who makes up for it. */
static const char *
by_hand(const char *sql)
{
    const char *unlimited = takes_over(sql) ? strstr(sql, PLAN_LOCKS_FIRST " 0; ") : NULL;

    return unlimited == NULL ? sql : unlimited + strlen(PLAN_LOCKS_FIRST " 0; ");
}

/* The application may stand in the way of a lock: given up soon, and tried again. */
static bool
lock_not_available(const char *sql, const struct error *err)
{
    return strcmp(err->sqlstate, "55P03") == 0 || strcmp(err->sqlstate, "40P01") == 0 ||
           (takes_over(sql) && strcmp(err->sqlstate, "57014") == 0 && !err->stopped);
}

/* Row security as in an application's session: where it is forced, the check cannot do without. */
static char *
with_settings(const char *sql, int lock_timeout_ms)
{
    return mem_printf("SET LOCAL lock_timeout TO %d; SET LOCAL row_security TO on; %s", lock_timeout_ms, sql);
}

/* False when the connection was lost, or a stop was asked for. */
static bool
judge(const char *sql, struct error *err)
{
    if (err->connection_lost || err->stopped)
        return error_context(err, "validating foreign keys");
    if (!passed_over(err))
        log_warning("not validated, stays NOT VALID: %s%s%s; try again with: %s", err->message,
                    err->detail != NULL ? ": " : "", err->detail != NULL ? err->detail : "", by_hand(sql));
    error_clear(err);
    return true;
}

static bool
begin(struct engine *e, const struct string_list *list)
{
    if (clock_ms() < e->validate_at_ms)
        return true;
    free(e->validating);
    e->validating = with_settings(list->items[e->validated], LOCK_TIMEOUT_MS);
    e->validation =
        parallel_start(e->options.connection, "validate", (const char *const *)&e->validating, 1, 1);
    return e->validation != NULL;
}

static void
log_end(const struct engine *e, const struct string_list *list)
{
    if (e->validate_failed > 0)
        log_warning("foreign keys validated: %d; not validated: %d, see above",
                    list->count - e->validate_failed, e->validate_failed);
    else
        log_info("foreign keys validated: %d", list->count);
}

/* The one at hand is done with. */
static void
pass(struct engine *e, const struct string_list *list, bool ok)
{
    e->validate_tries = 0;
    e->validate_failed += ok ? 0 : 1;
    if (++e->validated == list->count)
        log_end(e, list);
}

/*
 * A partitioned table's own key takes over those of its partitions. Where one of these is not valid it would
 * read the rows under its lock, and find what that one has found.
 */
static bool
in_vain(const char *sql, int failed)
{
    if (failed == 0 || !takes_over(sql))
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

    e->validation = NULL;
    if (!ok && lock_not_available(list->items[e->validated], err) && ++e->validate_tries < TRIES_MOST) {
        error_clear(err);
        e->validate_at_ms = clock_ms() + PAUSE_MS;
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
    e->validated = e->validate_failed = e->validate_tries = 0;
    e->validate_at_ms = 0;
}

/* Try until the locks are there, or too often. */
static bool
run_here(struct session *s, const char *sql, struct error *err)
{
    char *text = with_settings(sql, LOCK_TIMEOUT_MS);
    bool ok = false, again = true;

    for (int i = 0; !ok && again && i < TRIES_MOST; i++) {
        error_clear(err);
        ok = session_execute(s, err, text);
        again = !ok && lock_not_available(sql, err) && clock_sleep(PAUSE_MS);
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
