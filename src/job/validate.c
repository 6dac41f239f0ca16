#include "validate.h"

#include <string.h>

#include "core/log.h"
#include "parallel.h"

#define POLL_MS 50

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

/* False when the connection was lost, or a stop was asked for. */
static bool
judge(const char *sql, struct error *err)
{
    if (err->connection_lost || err->stopped)
        return error_context(err, "validating foreign keys");
    if (!passed_over(err))
        log_warning("not validated, stays NOT VALID: %s%s%s; try again with: %s", err->message,
                    err->detail != NULL ? ": " : "", err->detail != NULL ? err->detail : "", sql);
    error_clear(err);
    return true;
}

static bool
begin(struct engine *e, const struct string_list *list)
{
    e->validation = parallel_start(e->options.connection, "validate",
                                   (const char *const *)&list->items[e->validated], 1, 1);
    return e->validation != NULL;
}

bool
validate_some(struct engine *e, struct error *err)
{
    const struct string_list *list = statements_of(e->plans, e->job.leg);

    if (list == NULL || e->validated == list->count)
        return true;
    if (e->validation == NULL)
        return begin(e, list);
    if (!parallel_done(e->validation))
        return true;
    e->validated++;
    if (!parallel_finish(e->validation, err)) {
        e->validation = NULL;
        if (!judge(list->items[e->validated - 1], err))
            return false;
    }
    e->validation = NULL;
    if (e->validated == list->count)
        log_info("foreign keys validated: %d", list->count);
    return true;
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
    e->validated = 0;
}

bool
validate_here(struct session *s, const struct plan_set *plans, int leg, struct error *err)
{
    const struct string_list *list = statements_of(plans, leg);

    for (int i = 0; list != NULL && i < list->count; i++)
        if (!session_execute(s, err, list->items[i]) && !judge(list->items[i], err))
            return false;
    return true;
}
