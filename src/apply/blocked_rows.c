#include "blocked_rows.h"

#include <stdlib.h>
#include <string.h>

#include "blocked.h"
#include "core/clock.h"
#include "core/mem.h"
#include "pg/redact.h"
#include "row_groups.h"
#include "rows/guard.h"
#include "transaction.h"

#define AGAIN_MOST 3 /* rounds over the rows that have failed, as long as one succeeds because of another */
#define SINGLY_MOST 8
#define RETRY_MOST 1000 /* keys at a time, … */
#define RETRY_MS 500    /* … and for about this time at most, because the stream continues meanwhile */

/* One attempt to write a batch group by group. */
struct pass {
    struct apply *a;
    struct batch *batch;
    enum flush_trust trust;
    struct row_groups groups;
    char **reason; /* by group: why it cannot be written; NULL: it can */
    bool *others;  /* by group: the reason may be due to other rows */
};

enum try_outcome {
    TRY_WRITTEN,
    TRY_FAILS, /* a row's content fails; nothing is written */
    TRY_ERROR,
};

char *
blocked_rows_reason(const struct plan *plan, struct error *err)
{
    char *reason = guard_reason(plan, err);

    if (reason != NULL)
        return reason;
    error_redact(err);
    return mem_strdup(err->message);
}

static void
pass_open(struct pass *p, struct apply *a, struct batch *b, enum flush_trust trust)
{
    *p = (struct pass){.a = a, .batch = b, .trust = trust};
    row_groups_find(&p->groups, b);
    p->reason = mem_alloc(((size_t)p->groups.count + 1) * sizeof(*p->reason));
    p->others = mem_alloc(((size_t)p->groups.count + 1) * sizeof(*p->others));
}

static void
pass_close(struct pass *p)
{
    for (int i = 0; i < p->groups.count; i++)
        free(p->reason[i]);
    free(p->reason);
    free(p->others);
    row_groups_free(&p->groups);
}

/* Under the cutover's lock nobody waits for thousands of attempts. */
static bool
is_late(struct apply *a, struct error *err)
{
    a->late = a->deadline_ms != 0 && clock_ms() > a->deadline_ms;
    if (a->late)
        error_set(err, ERROR_LOCK, "the time for the last changes is over");
    return a->late;
}

/* Write all of these groups or none. *failure gets the error of the row. */
static enum try_outcome
try_groups(struct pass *p, const int *list, int count, struct error *failure, struct error *err)
{
    struct buffer groups = {0};
    bool written;

    if (is_late(p->a, err))
        return TRY_ERROR;
    buffer_add_char(&groups, '{');
    for (int i = 0; i < count; i++)
        buffer_printf(&groups, "%s%d", i > 0 ? "," : "", list[i]);
    buffer_add_char(&groups, '}');
    error_clear(failure);
    written = flush_write(&p->a->flush, p->batch, p->trust, groups.data, failure);
    buffer_free(&groups);
    if (written)
        return TRY_WRITTEN;
    if (error_is_of_a_row(failure))
        return session_execute(p->a->session, err, FLUSH_GO_BACK) ? TRY_FAILS : TRY_ERROR;
    error_move(err, failure);
    return TRY_ERROR;
}

static void
note_written(struct pass *p, const int *list, int count)
{
    for (int i = 0; i < count; i++) {
        free(p->reason[list[i]]);
        p->reason[list[i]] = NULL;
    }
}

static void
note_failed(struct pass *p, int group, struct error *failure)
{
    free(p->reason[group]);
    p->others[group] = strncmp(failure->sqlstate, "23", 2) == 0;
    p->reason[group] = blocked_rows_reason(p->a->plan, failure);
}

static bool write_parts(struct pass *p, const int *list, int count, struct error *err);

/* Write as many of the groups as can be written; the others get their reason. */
static bool
write_groups(struct pass *p, const int *list, int count, struct error *err)
{
    struct error failure = {0};
    enum try_outcome outcome = try_groups(p, list, count, &failure, err);

    if (outcome == TRY_WRITTEN)
        note_written(p, list, count);
    else if (outcome == TRY_FAILS && count == 1)
        note_failed(p, list[0], &failure);
    error_clear(&failure);
    return outcome != TRY_ERROR && (outcome == TRY_WRITTEN || count == 1 || write_parts(p, list, count, err));
}

/*
 * Rows that fail are often next to each other. So small parts are not halved further, but tried one by one.
 */
static bool
write_parts(struct pass *p, const int *list, int count, struct error *err)
{
    int half = count / 2;

    if (count > SINGLY_MOST)
        return write_groups(p, list, half, err) && write_groups(p, list + half, count - half, err);
    for (int i = 0; i < count; i++) {
        if (!write_groups(p, list + i, 1, err))
            return false;
    }
    return true;
}

/* List the groups that may have failed because of other rows. Returns how many. */
static int
list_again(const struct pass *p, int *list)
{
    int count = 0;

    for (int i = 0; i < p->groups.count; i++) {
        if (p->reason[i] != NULL && p->others[i])
            list[count++] = i;
    }
    return count;
}

/*
 * Two rows may exchange a value: then both must be written together. Or a row takes over the value of another
 * one: then they must be written in the right order.
 */
static bool
write_again(struct pass *p, int *list, struct error *err)
{
    int count = list_again(p, list), before;
    struct error failure = {0};
    enum try_outcome outcome;

    if (count > 1) {
        outcome = try_groups(p, list, count, &failure, err);
        error_clear(&failure);
        if (outcome != TRY_FAILS) {
            note_written(p, list, outcome == TRY_WRITTEN ? count : 0);
            return outcome == TRY_WRITTEN;
        }
    }
    for (int n = 0; n < AGAIN_MOST && count > 0; n++) {
        before = count;
        for (int i = 0; i < count; i++) {
            if (!write_groups(p, &list[i], 1, err))
                return false;
        }
        count = list_again(p, list);
        if (count == before)
            break;
    }
    return true;
}

/* Enter the keys that were not written, and remove those that were. */
static bool
blocked_rows_record(const struct pass *p, struct error *err)
{
    struct blocked_list enter = {0}, take_back = {0};
    struct apply *a = p->a;
    bool ok;

    for (int u = 0; u < p->groups.count; u++) {
        for (int i = p->groups.starts[u]; i < p->groups.starts[u + 1]; i++) {
            const struct batch_entry *e = &p->batch->entries[p->groups.entries[i]];

            if (a->flush.left != NULL && a->flush.left[p->groups.entries[i]])
                continue;
            if (p->reason[u] != NULL)
                blocked_list_add(&enter, e->key, e->key_len, p->batch->key_count, p->reason[u]);
            else if (keyset_has(&a->blocked.keys, e->key, e->key_len))
                blocked_list_add(&take_back, e->key, e->key_len, p->batch->key_count, NULL);
        }
    }
    ok = blocked_remove(&a->blocked, &take_back, a->session, a->owner, err) &&
         blocked_enter(&a->blocked, &enter, a->session, a->owner, err);
    blocked_list_free(&enter);
    blocked_list_free(&take_back);
    return ok;
}

/*
 * Find the groups whose values the stage cannot hold: their entries are left out, and they get their reason.
 */
static bool
find_unfit(struct pass *p, const int *list, int count, bool *left_out, struct error *err)
{
    bool *others = mem_alloc((size_t)p->batch->entry_count + 1);
    struct error failure = {0};
    enum stage_outcome outcome;
    bool ok;

    memset(others, true, (size_t)p->batch->entry_count);
    for (int i = 0; i < count; i++)
        for (int n = p->groups.starts[list[i]]; n < p->groups.starts[list[i] + 1]; n++)
            others[p->groups.entries[n]] = false;
    outcome = flush_try_stage(&p->a->flush, p->batch, others, &failure, err);
    ok = outcome != STAGE_ERROR;
    if (outcome == STAGE_FAILS && count > 1) {
        ok = find_unfit(p, list, count / 2, left_out, err) &&
             find_unfit(p, list + count / 2, count - count / 2, left_out, err);
    } else if (outcome == STAGE_FAILS) {
        note_failed(p, list[0], &failure);
        p->others[list[0]] = false;
        for (int n = p->groups.starts[list[0]]; n < p->groups.starts[list[0] + 1]; n++)
            left_out[p->groups.entries[n]] = true;
    }
    error_clear(&failure);
    free(others);
    return ok;
}

/* Stage all groups whose values it can hold. list gets these. Returns how many, or -1. */
static int
stage_fit(struct pass *p, int *list, bool *left_out, struct error *err)
{
    struct flush *f = &p->a->flush;
    int count = 0;
    bool ok;

    for (int i = 0; i < p->groups.count; i++)
        list[i] = i;
    ok = flush_clear(f, err) && (p->groups.count == 0 || find_unfit(p, list, p->groups.count, left_out, err));
    f->left_out = left_out;
    ok = ok && flush_stage(f, p->batch, p->trust, p->groups.group_of, err);
    f->left_out = NULL;
    for (int i = 0; i < p->groups.count; i++)
        if (p->reason[i] == NULL)
            list[count++] = i;
    return ok ? count : -1;
}

/* If the statements fail even without any row, no row is the cause. */
static bool
check_statements(struct pass *p, struct error *err)
{
    struct error failure = {0};
    enum try_outcome outcome = try_groups(p, NULL, 0, &failure, err);

    if (outcome == TRY_FAILS)
        error_move(err, &failure);
    error_clear(&failure);
    return outcome == TRY_WRITTEN;
}

/* whole: the whole batch has been tried already. */
static bool
write_carefully(struct apply *a, struct batch *b, enum flush_trust trust, bool whole, struct error *err)
{
    int *list = mem_array(NULL, (size_t)b->entry_count + 1, sizeof(*list)), count;
    bool *left_out = mem_alloc((size_t)b->entry_count + 1);
    struct pass p;
    bool ok;

    pass_open(&p, a, b, trust);
    count = stage_fit(&p, list, left_out, err);
    ok = count >= 0;
    if (ok && count > 0)
        ok = check_statements(&p, err) &&
             (whole && count > 1 && count == p.groups.count ? write_parts(&p, list, count, err)
                                                            : write_groups(&p, list, count, err));
    ok = ok && write_again(&p, list, err) && blocked_rows_record(&p, err);
    pass_close(&p);
    free(left_out);
    free(list);
    return ok;
}

static bool
take_back_all(struct apply *a, const struct batch *b, struct error *err)
{
    struct blocked_list list = {0};
    bool ok;

    for (int i = 0; a->blocked.keys.count > 0 && i < b->entry_count; i++) {
        const struct batch_entry *e = &b->entries[i];

        if (keyset_has(&a->blocked.keys, e->key, e->key_len))
            blocked_list_add(&list, e->key, e->key_len, b->key_count, NULL);
    }
    ok = blocked_remove(&a->blocked, &list, a->session, a->owner, err);
    blocked_list_free(&list);
    return ok;
}

bool
blocked_rows_write(struct apply *a, enum flush_trust trust, struct error *err)
{
    struct flush *f = &a->flush;
    struct batch *b = &a->batch;
    int staged = f->staged;

    flush_start(f, b, a->xids.xids, a->xids.count);
    if (b->truncated &&
        (!flush_truncate(f, err) || !blocked_remove_all(&a->blocked, a->session, a->owner, err)))
        return false;
    if (b->entry_count == 0)
        return true;
    if (a->blocked.keys.count > 0) /* the row that the shadow has of a key set aside is an old one */
        trust = TRUST_NEWER;
    if (!session_execute(a->session, err, FLUSH_SAVEPOINT))
        return false;
    if (flush_stage(f, b, trust, NULL, err) && flush_write(f, b, trust, NULL, err))
        return session_execute(a->session, err, FLUSH_RELEASE) && take_back_all(a, b, err);
    if (!error_is_of_a_row(err))
        return false;
    error_clear(err);
    f->staged = staged; /* the number of rows that the temporary tables hold again */
    return session_execute(a->session, err, FLUSH_GO_BACK) && write_carefully(a, b, trust, true, err);
}

/* An entry for the row of a key, all of whose values are to be read from the source. */
static void
add_unread(struct batch *b, const char *key)
{
    struct value *values = mem_array(NULL, (size_t)(b->column_count + b->key_count), sizeof(*values));
    struct message m = {.kind = MESSAGE_UPDATE};
    struct error never = {0};

    for (int i = 0; i < b->column_count; i++)
        values[i] = (struct value){.kind = VALUE_UNCHANGED};
    batch_key_values(key, b->key_count, values + b->column_count);
    for (int k = 0; k < b->key_count; k++)
        values[b->key_positions[k]] = values[b->column_count + k];
    m.row.new_row = (struct tuple){.count = (uint16_t)b->column_count, .values = values};
    batch_add(b, &m, &never);
    error_clear(&never);
    free(values);
}

static void
take_blocked(struct blocked *blocked, size_t most, struct batch *b)
{
    const char *key;
    uint32_t len;

    for (size_t n = 0; n < most && n < blocked->keys.count; n++) {
        if (!keyset_next(&blocked->keys, &blocked->at, &key, &len)) {
            blocked->at = 0;
            keyset_next(&blocked->keys, &blocked->at, &key, &len);
        }
        add_unread(b, key);
    }
}

static void
take_dirty(const struct apply *a, struct apply_walk *walk, struct batch *b)
{
    const char *key;
    uint32_t len;

    for (size_t n = 0; n < RETRY_MOST && walk->left > 0; n++) {
        if (!keyset_next(&a->dirty.keys, &walk->at, &key, &len)) {
            walk->left = 0;
            return;
        }
        walk->left--;
        if (!keyset_has(&a->blocked.keys, key, len))
            add_unread(b, key);
    }
}

/* By entry: the source has lost the key for good, as earlier lookups show. */
static bool *
find_gone(const struct blocked *blocked, const struct batch *b)
{
    bool *gone = mem_alloc((size_t)b->entry_count + 1);

    for (int i = 0; i < b->entry_count; i++)
        gone[i] = blocked_is_gone(blocked, b->entries[i].key, b->entries[i].key_len);
    return gone;
}

static void
note_look(struct blocked *blocked, const struct batch *b, const bool *left)
{
    struct keyset missing = {0}, there = {0};

    for (int i = 0; i < b->entry_count; i++)
        keyset_add(left[i] ? &missing : &there, b->entries[i].key, b->entries[i].key_len);
    blocked_look_seen(blocked, &missing, &there);
    keyset_clear(&missing);
    keyset_clear(&there);
}

/*
 * Write rows as the source has them. While the change that was set aside waits for a standby, the source may
 * show a row as it was before that change. So first all applied transactions must be visible. Rows that the
 * source no longer has are left alone (left[] says which), except those of gone[], if any.
 */
static bool
retry_batch(struct apply *a, struct batch *b, const bool *gone, bool *left, struct error *err)
{
    flush_start(&a->flush, b, a->unsettled.xids, a->unsettled.count);
    a->flush.gone = gone;
    a->flush.left = left;
    batch_read_all(b);
    if (!transaction_begin(a, err) || !write_carefully(a, b, TRUST_NEWER, false, err) ||
        !transaction_move_exact(a, err) || !transaction_end(a, a->position.lsn, err)) {
        error_redact(err);
        return false;
    }
    a->flush.left = NULL;
    dirty_record(&a->dirty, b);
    return true;
}

/* Set how many keys to try the next time, from the speed of this time. */
static void
note_pace(struct apply *a, int64_t took_ms)
{
    if (took_ms > RETRY_MS && a->retry_most > 1)
        a->retry_most /= 2;
    else if (took_ms < RETRY_MS / 4 && a->retry_most < RETRY_MOST)
        a->retry_most *= 2;
    if (a->retry_most > RETRY_MOST)
        a->retry_most = RETRY_MOST;
}

bool
apply_retry(struct apply *a, struct error *err)
{
    int64_t began = clock_ms();
    struct batch b;
    bool *gone, *left, ok;

    if (a->blocked.keys.count == 0 || !transaction_is_free(a))
        return true;
    batch_init(&b, a->flush.columns.count, a->plan->key_count, a->flush.columns.key_positions);
    batch_leave_to_source(&b, a->flush.columns.only_in_source);
    if (a->retry_most == 0)
        a->retry_most = RETRY_MOST / 10;
    take_blocked(&a->blocked, a->retry_most, &b);
    a->retried += b.entry_count;
    blocked_look_begin(&a->blocked, a->marker);
    gone = find_gone(&a->blocked, &b);
    left = mem_alloc((size_t)b.entry_count + 1);
    ok = retry_batch(a, &b, gone, left, err);
    if (ok)
        note_look(&a->blocked, &b, left);
    else
        session_rollback(a->session);
    note_pace(a, clock_ms() - began);
    batch_free(&b);
    free(gone);
    free(left);
    return ok;
}

int64_t
apply_retried(const struct apply *a)
{
    return a->retried;
}

bool
apply_rewrite_dirty(struct apply *a, struct apply_walk *walk, struct error *err)
{
    struct batch b;
    bool *left, ok;

    if (!transaction_is_free(a))
        return true;
    batch_init(&b, a->flush.columns.count, a->plan->key_count, a->flush.columns.key_positions);
    batch_leave_to_source(&b, a->flush.columns.only_in_source);
    take_dirty(a, walk, &b);
    left = mem_alloc((size_t)b.entry_count + 1);
    ok = b.entry_count == 0 || retry_batch(a, &b, NULL, left, err);
    if (!ok)
        session_rollback(a->session);
    batch_free(&b);
    free(left);
    return ok;
}

int64_t
apply_blocked(const struct apply *a)
{
    return (int64_t)a->blocked.keys.count;
}
