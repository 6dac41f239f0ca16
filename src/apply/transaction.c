#include "transaction.h"

#include "position.h"
#include "rows/code.h"

bool
transaction_begin(struct apply *a, struct error *err)
{
    if (a->external || a->transaction_open)
        return true;
    a->transaction_open = session_pin(a->session, err) && session_execute(a->session, err, "BEGIN");
    return a->transaction_open && code_guard(a->session, NULL, a->plan, err);
}

bool
transaction_end(struct apply *a, lsn_t position, struct error *err)
{
    if (!a->transaction_open)
        return true;
    if (!session_pin(a->session, err) || !position_write(a, position, err) ||
        !session_commit(a->session, err))
        return false;
    a->transaction_open = false;
    flush_transaction_ended(&a->flush);
    return true;
}

bool
transaction_is_free(const struct apply *a)
{
    return !a->external && apply_at_boundary(a);
}

bool
transaction_move_exact(struct apply *a, struct error *err)
{
    struct result res = {0};
    bool ok = session_row(a->session, &res, err, "SELECT pg_catalog.pg_current_wal_insert_lsn() AS lsn", 0);

    if (ok && row_lsn(&res, 0, "lsn") > a->bounds.exact)
        a->bounds.exact = row_lsn(&res, 0, "lsn");
    if (ok)
        a->flush.distrusted_until = row_lsn(&res, 0, "lsn");
    result_free(&res);
    return ok;
}

bool
apply_is_inside(const struct apply *a)
{
    return a->transaction_open;
}

bool
apply_at_boundary(const struct apply *a)
{
    return !a->transaction_open && !a->release && a->held.count == 0;
}

bool
apply_save(struct apply *a, struct error *err)
{
    if (!transaction_is_free(a) || a->position.lsn <= a->saved)
        return true;
    return position_write(a, a->position.lsn, err);
}

void
apply_enter(struct apply *a)
{
    a->external = true;
    a->inside = a->position;
    a->applied_before = a->applied;
    a->changes_before = a->changes;
    a->saved_before = a->saved;
}

void
apply_set_deadline(struct apply *a, int64_t clock_at_ms)
{
    a->deadline_ms = clock_at_ms;
}

bool
apply_leave(struct apply *a, bool committed, struct error *err)
{
    a->external = false;
    flush_transaction_ended(&a->flush);
    if (committed) {
        a->deadline_ms = 0;
        a->position = a->inside;
        return true;
    }
    batch_reset(&a->batch);
    a->xids.count = 0;
    a->transactions = 0;
    a->deadline_ms = 0;
    a->changes = a->changes_before;
    a->saved = a->saved_before;
    a->done = a->applied = a->applied_before;
    a->in_source = false;
    a->skipping = false;
    return spool_seek(a->reader, a->position.spool, err) &&
           (!a->set_aside || blocked_load(&a->blocked, a->session, a->owner, a->plan->key_count, err));
}
