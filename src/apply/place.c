/* How far everything is applied: the place, and the row that says so after a crash. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

#define PLACE_PARAMS 7

/* The values of the statement. */
struct place_row {
    char lsn[LSN_TEXT_SIZE], until[LSN_TEXT_SIZE], changes[24], job[24], number[16], instance[24];
    struct buffer held;
    const char *params[PLACE_PARAMS];
};

static void
row_make(struct apply *a, lsn_t lsn, struct place_row *row)
{
    struct ahead ahead = ahead_of(a, lsn);

    memset(row, 0, sizeof(*row));
    ahead_write(&ahead, &row->held);
    snprintf(row->changes, sizeof(row->changes), "%" PRIu64, a->changes);
    snprintf(row->job, sizeof(row->job), "%" PRId64, a->owner.job_id);
    snprintf(row->number, sizeof(row->number), "%d", a->owner.number);
    snprintf(row->instance, sizeof(row->instance), "%" PRId64, a->instance);
    row->params[0] = lsn_format(lsn, row->lsn);
    row->params[1] = row->changes;
    row->params[2] = row->job;
    row->params[3] = row->instance;
    row->params[4] = ahead.until > 0 ? lsn_format(ahead.until, row->until) : NULL;
    row->params[5] = ahead.until > 0 ? row->held.data : NULL;
    row->params[6] = row->number;
    ahead_free(&ahead);
}

static const char place_sql[] = "UPDATE pgrecast.position SET applied_lsn = greatest(applied_lsn, $1), "
                                "changes_applied = $2, ahead_lsn = $5, held_lsns = $6 "
                                "WHERE job_id = $3 AND table_number = $7 AND instance = $4";

bool
apply_place_saved(const struct result *res, struct error *err)
{
    return result_affected(res) == 1 ||
           error_set(err, ERROR_FAILED, "another instance has taken over the job");
}

/*
 * In the transaction of the effect, so that both are there or neither is. A process that was replaced while
 * it hung finds another instance in the row, and what it has done is rolled back.
 */
bool
place_write(struct apply *a, lsn_t lsn, struct error *err)
{
    struct place_row row;
    struct result res = {0};
    bool ok;

    row_make(a, lsn, &row);
    ok = session_query_params(a->session, &res, err, place_sql, PLACE_PARAMS, row.params) &&
         apply_place_saved(&res, err);
    result_free(&res);
    buffer_free(&row.held);
    if (ok)
        a->saved = later(a->saved, lsn);
    return ok;
}

void
apply_add_place(struct apply *a, struct pipeline *p)
{
    struct place_row row;

    row_make(a, a->inside.lsn, &row);
    pipeline_add_params(p, place_sql, PLACE_PARAMS, row.params);
    buffer_free(&row.held);
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
