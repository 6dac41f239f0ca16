#include "apply_workers.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "pg/workers.h"
#include "rows/code.h"
#include "session.h"

#define BATCH_LEAST 2000 /* number of rows; fewer are not worth several threads */

struct part_writer {
    struct flush flush; /* zeroed until the worker has a session */
    struct batch part;  /* part of the current batch; everything but .entries is shared with it */
};

struct apply_workers {
    const struct plan *plan;
    struct state_table owner;
    int count;
    char *settings;              /* statements for their sessions */
    struct workers *pool;        /* its sessions are opened for the first batch, and kept */
    struct part_writer *writers; /* indexed by worker */
    enum flush_trust trust;      /* for the current batch */
};

/*
 * NULL where keys with different texts may be equal: one session would delete a row that another one writes,
 * and that one would wait for the first.
 */
struct apply_workers *
apply_workers_open(const struct apply_options *options)
{
    struct workers_options pool = {
        .count = options->workers,
        .connection = options->connection,
        .purpose = APPLY_SESSION_PURPOSE,
        .evaluates = true,
        .keeps_sessions = true,
    };
    struct apply_workers *w;

    if (options->workers < 1 || options->set_aside || plan_has_other_unique(options->plan) ||
        !plan_keys_differ_by_text(options->plan))
        return NULL;
    w = mem_alloc(sizeof(*w));
    w->plan = options->plan;
    w->owner = options->owner;
    w->count = options->workers;
    w->settings = apply_session_settings(options->owner.job_id);
    pool.settings = w->settings;
    w->pool = workers_new(&pool);
    w->writers = mem_alloc((size_t)w->count * sizeof(*w->writers));
    return w;
}

void
apply_workers_free(struct apply_workers *w)
{
    if (w == NULL)
        return;
    for (int i = 0; i < w->count; i++)
        flush_close(&w->writers[i].flush);
    workers_free(w->pool);
    free(w->settings);
    free(w->writers);
    free(w);
}

bool
apply_workers_fits(const struct flush *own, const struct batch *b)
{
    return b->entry_count >= BATCH_LEAST && b->mask_count == 1 && !b->truncated && !own->keeps_defaults &&
           !own->overlay;
}

/*
 * Take the entries of part `number` of `count` parts. The high bits of the hash decide, because the low bits
 * choose the slots of the batch's hash table.
 */
static void
take_part(struct batch *part, const struct batch *b, int number, int count)
{
    *part = *b;
    part->entries = mem_array(NULL, (size_t)b->entry_count + 1, sizeof(*part->entries));
    part->entry_count = 0;
    for (int i = 0; i < b->entry_count; i++) {
        if ((int)((b->entries[i].hash >> 32) % (uint64_t)count) == number)
            part->entries[part->entry_count++] = b->entries[i];
    }
}

/*
 * Either whoever takes the job over waits for this commit, or this transaction finds that the job was taken
 * over.
 */
static bool
apply_workers_begin(const struct apply_workers *w, struct session *s, struct error *err)
{
    return session_pin(s, err) && session_execute(s, err, "BEGIN") && code_guard(s, NULL, w->plan, err) &&
           state_position_lock(s, &w->owner, err);
}

/* Write a worker's part. Its transaction stays open. */
static bool
write_part(void *arg, int number, struct session *s, struct error *err)
{
    struct apply_workers *w = arg;
    struct part_writer *writer = &w->writers[number];

    if (writer->flush.session == NULL && !flush_open(&writer->flush, w->plan, w->owner.number, false, s, err))
        return false;
    if (!apply_workers_begin(w, s, err))
        return false;
    flush_start(&writer->flush, &writer->part, NULL, 0); /* nothing has to be read from the source */
    return flush_batch(&writer->flush, &writer->part, w->trust, err);
}

/*
 * All workers have written their parts. Point of no return: after the first commit the batch must be
 * completed.
 */
static bool
commit(struct apply_workers *w, struct error *err)
{
    for (int i = 0; i < w->count; i++)
        if (!session_commit(workers_session(w->pool, i), err))
            return false;
    return true;
}

static void
roll_back(struct apply_workers *w)
{
    for (int i = 0; i < w->count; i++)
        session_rollback(workers_session(w->pool, i));
}

/* Wait for the other sessions. If the own part has failed, its error is the one reported. */
static bool
join(struct apply_workers *w, bool ok, struct error *err)
{
    struct error failure = {0};

    if (workers_join(w->pool, &failure) != WORKERS_DONE && ok) {
        error_move(err, &failure);
        ok = false;
    }
    error_clear(&failure);
    return ok;
}

bool
apply_workers_write(struct apply_workers *w, struct flush *own, const struct batch *b, enum flush_trust trust,
                    struct error *err)
{
    struct batch part;
    bool ok;

    for (int i = 0; i < w->count; i++)
        take_part(&w->writers[i].part, b, i + 1, w->count + 1);
    take_part(&part, b, 0, w->count + 1);
    w->trust = trust;
    workers_start(w->pool, w->count, write_part, w, 0);
    ok = flush_batch(own, &part, trust, err);
    ok = join(w, ok, err) && commit(w, err);
    if (!ok)
        roll_back(w);
    for (int i = 0; i < w->count; i++)
        free(w->writers[i].part.entries);
    free(part.entries);
    return ok;
}
