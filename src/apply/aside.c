#include "aside.h"

#include <stdlib.h>
#include <string.h>

#include "blocked.h"
#include "core/clock.h"
#include "core/mem.h"
#include "pg/redact.h"
#include "units.h"

#define GUARD "a value of column " /* as ddl/inverse.c has it */
#define AGAIN_MOST 3               /* passes over what has failed, as long as one helps another */
#define SINGLY_MOST 8
#define RETRY_MOST 1000 /* keys at a time … */
#define RETRY_MS 500    /* … and not much longer than that: the stream goes on meanwhile */

/* One batch, unit by unit. */
struct pass {
    struct apply *a;
    struct batch *batch;
    enum flush_trust trust;
    struct units units;
    char **reason; /* by unit: why it cannot be written, NULL: it is */
    bool *others;  /* … and that may be due to other rows */
};

enum try_outcome {
    TRY_WRITTEN,
    TRY_FAILS, /* by a row's content; nothing is written */
    TRY_ERROR,
};

/* The server's text in its language, but for what the guard of the plan says: quotes of all kinds around it.
 */
static char *
guard_text(const char *message)
{
    const char *from = strstr(message, GUARD);
    size_t len = from != NULL ? strlen(from) : 0;

    if (from == NULL)
        return NULL;
    if (len > 0 && from[len - 1] == '"')
        len--;
    else if (len > 2 && strcmp(from + len - 2, "«") == 0)
        len -= 2;
    else if (len > 3 && strcmp(from + len - 3, "”") == 0)
        len -= 3;
    return mem_printf("%.*s", (int)len, from);
}

char *
aside_reason(struct error *err)
{
    char *guard = strcmp(err->sqlstate, "22P02") == 0 ? guard_text(err->message) : NULL;

    if (guard != NULL)
        return guard;
    error_redact(err);
    return mem_strdup(err->message);
}

static void
pass_open(struct pass *p, struct apply *a, struct batch *b, enum flush_trust trust)
{
    *p = (struct pass){.a = a, .batch = b, .trust = trust};
    units_find(&p->units, b);
    p->reason = mem_alloc(((size_t)p->units.count + 1) * sizeof(*p->reason));
    p->others = mem_alloc(((size_t)p->units.count + 1) * sizeof(*p->others));
}

static void
pass_close(struct pass *p)
{
    for (int i = 0; i < p->units.count; i++)
        free(p->reason[i]);
    free(p->reason);
    free(p->others);
    units_free(&p->units);
}

/* Under the cutover's lock nobody waits for thousands of tries. */
static bool
is_late(struct apply *a, struct error *err)
{
    a->late = a->deadline_ms != 0 && clock_ms() > a->deadline_ms;
    if (a->late)
        error_set(err, ERROR_LOCK, "the time for the last changes is over");
    return a->late;
}

/* Write these units, or none of them. *failure gets the row's error. */
static enum try_outcome
try_units(struct pass *p, const int *list, int count, struct error *failure, struct error *err)
{
    struct buffer units = {0};
    bool written;

    if (is_late(p->a, err))
        return TRY_ERROR;
    for (int i = 0; i < count; i++)
        buffer_printf(&units, "%s%d", i > 0 ? "," : "{", list[i]);
    buffer_add_char(&units, '}');
    error_clear(failure);
    written = flush_write(&p->a->flush, p->batch, p->trust, units.data, failure);
    buffer_free(&units);
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
note_failed(struct pass *p, int unit, struct error *failure)
{
    free(p->reason[unit]);
    p->others[unit] = strncmp(failure->sqlstate, "23", 2) == 0;
    p->reason[unit] = aside_reason(failure);
}

static bool write_parts(struct pass *p, const int *list, int count, struct error *err);

/* Write as many of the units as will go; the others get their reason. */
static bool
write_units(struct pass *p, const int *list, int count, struct error *err)
{
    struct error failure = {0};
    enum try_outcome outcome = try_units(p, list, count, &failure, err);

    if (outcome == TRY_WRITTEN)
        note_written(p, list, count);
    else if (outcome == TRY_FAILS && count == 1)
        note_failed(p, list[0], &failure);
    error_clear(&failure);
    return outcome != TRY_ERROR && (outcome == TRY_WRITTEN || count == 1 || write_parts(p, list, count, err));
}

/* What fails is often in good company: the smallest parts are not halved, but tried one by one. */
static bool
write_parts(struct pass *p, const int *list, int count, struct error *err)
{
    int half = count / 2;

    if (count > SINGLY_MOST)
        return write_units(p, list, half, err) && write_units(p, list + half, count - half, err);
    for (int i = 0; i < count; i++) {
        if (!write_units(p, list + i, 1, err))
            return false;
    }
    return true;
}

/* Those that may have failed because of other rows. Returns how many. */
static int
list_again(const struct pass *p, int *list)
{
    int count = 0;

    for (int i = 0; i < p->units.count; i++) {
        if (p->reason[i] != NULL && p->others[i])
            list[count++] = i;
    }
    return count;
}

/* A value that two rows exchange: neither goes without the other. One that was handed on: in the right order.
 */
static bool
write_again(struct pass *p, int *list, struct error *err)
{
    int count = list_again(p, list), before;
    struct error failure = {0};
    enum try_outcome outcome;

    if (count > 1) {
        outcome = try_units(p, list, count, &failure, err);
        error_clear(&failure);
        if (outcome != TRY_FAILS) {
            note_written(p, list, outcome == TRY_WRITTEN ? count : 0);
            return outcome == TRY_WRITTEN;
        }
    }
    for (int n = 0; n < AGAIN_MOST && count > 0; n++) {
        before = count;
        for (int i = 0; i < count; i++) {
            if (!write_units(p, &list[i], 1, err))
                return false;
        }
        count = list_again(p, list);
        if (count == before)
            break;
    }
    return true;
}

/* Enter what was not written, and take back what was. */
static bool
record(const struct pass *p, struct error *err)
{
    struct blocked_list enter = {0}, take_back = {0};
    struct apply *a = p->a;
    bool ok;

    for (int u = 0; u < p->units.count; u++) {
        for (int i = p->units.starts[u]; i < p->units.starts[u + 1]; i++) {
            const struct batch_entry *e = &p->batch->entries[p->units.entries[i]];

            if (a->flush.left != NULL && a->flush.left[p->units.entries[i]])
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

/* whole: the batch as it is has been tried. */
static bool
write_carefully(struct apply *a, struct batch *b, enum flush_trust trust, bool whole, struct error *err)
{
    int *list = mem_array(NULL, (size_t)b->entry_count + 1, sizeof(*list));
    struct pass p;
    bool ok;

    pass_open(&p, a, b, trust);
    for (int i = 0; i < p.units.count; i++)
        list[i] = i;
    ok = flush_stage(&a->flush, b, trust, p.units.unit_of, err);
    if (ok && p.units.count > 0)
        ok = whole && p.units.count > 1 ? write_parts(&p, list, p.units.count, err)
                                        : write_units(&p, list, p.units.count, err);
    ok = ok && write_again(&p, list, err) && record(&p, err);
    pass_close(&p);
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
aside_write(struct apply *a, enum flush_trust trust, struct error *err)
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
    if (a->blocked.keys.count > 0) /* the shadow's row of such a key is an old one */
        trust = TRUST_NEWER;
    if (!session_execute(a->session, err, FLUSH_SAVEPOINT))
        return false;
    if (flush_stage(f, b, trust, NULL, err) && flush_write(f, b, trust, NULL, err))
        return session_execute(a->session, err, FLUSH_RELEASE) && take_back_all(a, b, err);
    if (!error_is_of_a_row(err))
        return false;
    error_clear(err);
    f->staged = staged; /* what the temporary tables hold again */
    return session_execute(a->session, err, FLUSH_GO_BACK) && write_carefully(a, b, trust, true, err);
}

/* The row of a key, all of whose values are to be read from the source. */
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

/* Which of the batch's keys the source has lost for good, as far as earlier looks tell. */
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
 * The source may show these rows as they were before the change that was set aside, as long as that waits for
 * a standby: so all that was applied must be visible. Those that it no longer has are left alone (left[] then
 * says so), but for gone[], if any.
 */
static bool
retry_batch(struct apply *a, struct batch *b, const bool *gone, bool *left, struct error *err)
{
    flush_start(&a->flush, b, a->unsettled.xids, a->unsettled.count);
    a->flush.gone = gone;
    a->flush.left = left;
    batch_read_all(b);
    if (!step_begin(a, err) || !write_carefully(a, b, TRUST_NEWER, false, err) || !step_move_exact(a, err) ||
        !place_write(a, a->place.lsn, err) || !session_execute(a->session, err, "COMMIT"))
        return false;
    a->transaction_open = false;
    flush_transaction_ended(&a->flush);
    a->flush.left = NULL;
    dirty_record(&a->dirty, b);
    return true;
}

/* As many the next time as this time's pace suggests. */
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

    if (a->blocked.keys.count == 0 || a->external || !apply_at_boundary(a))
        return true;
    batch_init(&b, a->flush.columns.count, a->plan->key_count, a->flush.columns.key_positions);
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

    if (a->external || !apply_at_boundary(a))
        return true;
    batch_init(&b, a->flush.columns.count, a->plan->key_count, a->flush.columns.key_positions);
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
