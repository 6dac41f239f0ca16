/* The position up to which everything is applied, and its row, which shows it after a crash. */
#include "position.h"

static lsn_t
later(lsn_t a, lsn_t b)
{
    return a > b ? a : b;
}

struct apply_position
position_next(const struct apply *a)
{
    struct apply_position next = {.lsn = later(a->done, a->position.lsn),
                                  .spool = spool_reader_position(a->reader)};

    return a->held.count > 0 ? a->held_position : next;
}

void
position_idle(struct apply *a)
{
    if (a->external || a->held.count > 0)
        return;
    a->position = position_next(a);
    a->position.lsn = later(a->position.lsn, spool_reader_lsn(a->reader));
}

/*
 * What is applied beyond the position that will be saved. Unless transactions are held back, nothing beyond
 * it was read.
 */
static struct beyond
beyond_of(struct apply *a, lsn_t position)
{
    bool held = a->held.count > 0;
    struct beyond now = {0};

    a->held.beyond.until = held ? a->done : 0;
    beyond_merge(&a->last, &a->held.beyond, position, held ? a->done : position, &now);
    return now;
}

/* The values to write for a position. The caller frees the text of the list. */
static struct state_position
position_at(struct apply *a, lsn_t lsn, struct buffer *held)
{
    struct beyond beyond = beyond_of(a, lsn);
    struct state_position position = {.applied = lsn, .changes = a->changes, .beyond = beyond.until};

    beyond_write(&beyond, held);
    position.held = held->data;
    beyond_free(&beyond);
    return position;
}

bool
apply_position_saved(const struct result *res, struct error *err)
{
    return state_position_written(res, err);
}

bool
position_write(struct apply *a, lsn_t lsn, struct error *err)
{
    struct buffer held = {0};
    struct state_position position = position_at(a, lsn, &held);
    bool ok = state_position_write(a->session, &a->owner, &position, err);

    buffer_free(&held);
    if (ok)
        a->saved = later(a->saved, lsn);
    return ok;
}

void
apply_add_position(struct apply *a, struct pipeline *p)
{
    struct buffer held = {0};
    struct state_position position = position_at(a, a->inside.lsn, &held);

    state_position_add(p, &a->owner, &position);
    buffer_free(&held);
}

struct apply_position
apply_position(const struct apply *a)
{
    return a->position;
}
