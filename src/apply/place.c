/* How far everything is applied: the place, and the row that says so after a crash. */
#include <inttypes.h>
#include <stdio.h>

#include "state.h"

static lsn_t
later(lsn_t a, lsn_t b)
{
    return a > b ? a : b;
}

struct apply_place
place_next(const struct apply *a)
{
    struct apply_place next = {.lsn = later(a->done, a->place.lsn),
                               .position = spool_reader_position(a->reader)};

    return a->held.count > 0 ? a->held_place : next;
}

void
place_idle(struct apply *a)
{
    if (a->external || a->held.count > 0)
        return;
    a->place = place_next(a);
    a->place.lsn = later(a->place.lsn, spool_reader_lsn(a->reader));
}

/* What is applied beyond a place that is to be saved. With nothing held back there is nothing read beyond it.
 */
static struct ahead
ahead_of(struct apply *a, lsn_t place)
{
    bool held = a->held.count > 0;
    struct ahead now = {0};

    a->held.ahead.until = held ? a->done : 0;
    ahead_merge(&a->last, &a->held.ahead, place, held ? a->done : place, &now);
    return now;
}

/*
 * In the transaction of the effect, so that both are there or neither is. A process that was replaced while
 * it hung finds another instance in the row, and what it has done is rolled back.
 */
bool
place_write(struct apply *a, lsn_t lsn, struct error *err)
{
    char text[LSN_TEXT_SIZE], changes[24], job[24], number[16], instance[24];
    struct ahead ahead = ahead_of(a, lsn);
    char until[LSN_TEXT_SIZE];
    struct buffer held = {0};
    struct result res = {0};
    bool ok;

    ahead_write(&ahead, &held);
    snprintf(changes, sizeof(changes), "%" PRIu64, a->changes);
    snprintf(job, sizeof(job), "%" PRId64, a->owner.job_id);
    snprintf(number, sizeof(number), "%d", a->owner.number);
    snprintf(instance, sizeof(instance), "%" PRId64, a->instance);
    ok = session_query(a->session, &res, err,
                       "UPDATE pgrecast.position SET applied_lsn = greatest(applied_lsn, $1), "
                       "changes_applied = $2, ahead_lsn = $5, held_lsns = $6 "
                       "WHERE job_id = $3 AND table_number = $7 AND instance = $4",
                       7, lsn_format(lsn, text), changes, job, instance,
                       ahead.until > 0 ? lsn_format(ahead.until, until) : NULL,
                       ahead.until > 0 ? held.data : NULL, number);
    if (ok && result_affected(&res) != 1)
        ok = error_set(err, ERROR_FAILED, "another instance has taken over the job");
    result_free(&res);
    buffer_free(&held);
    ahead_free(&ahead);
    if (ok)
        a->saved = later(a->saved, lsn);
    return ok;
}

struct apply_place
apply_place(const struct apply *a)
{
    return a->place;
}

bool
apply_save(struct apply *a, struct error *err)
{
    if (a->external || !apply_at_boundary(a) || a->place.lsn <= a->saved)
        return true;
    return place_write(a, a->place.lsn, err);
}
