#include "crew.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

#define BATCH_LEAST 2000 /* rows: fewer are not worth a thread */

struct helper {
    struct crew *crew;
    struct session *session; /* NULL until it is needed */
    struct flush flush;
    struct batch part; /* of the batch at hand; shares all but .entries with it */
    enum flush_trust trust;
    pthread_t thread;
    bool started;
    bool ok;
    struct error error;
};

struct crew {
    const struct plan *plan;
    const struct connection_options *connection;
    struct apply_owner owner;
    int64_t instance;
    int count;
    struct helper *helpers;
};

/*
 * Where keys with different texts may be equal, a row would be deleted by one session and written by another,
 * which waits for the first.
 */
struct crew *
crew_open(const struct apply_options *options, int64_t instance)
{
    struct crew *c;

    if (options->helpers < 1 || options->set_aside || plan_has_other_unique(options->plan) ||
        !plan_keys_differ_by_text(options->plan))
        return NULL;
    c = mem_alloc(sizeof(*c));
    c->plan = options->plan;
    c->connection = options->connection;
    c->owner = options->owner;
    c->instance = instance;
    c->count = options->helpers;
    c->helpers = mem_alloc((size_t)c->count * sizeof(*c->helpers));
    for (int i = 0; i < c->count; i++)
        c->helpers[i].crew = c;
    return c;
}

static void
helper_close(struct helper *h)
{
    if (h->session != NULL)
        flush_close(&h->flush);
    session_close(h->session);
    h->session = NULL;
}

void
crew_free(struct crew *c)
{
    if (c == NULL)
        return;
    for (int i = 0; i < c->count; i++)
        helper_close(&c->helpers[i]);
    free(c->helpers);
    free(c);
}

bool
crew_fits(const struct flush *own, const struct batch *b)
{
    return b->entry_count >= BATCH_LEAST && b->mask_count == 1 && !b->truncated && !own->keeps_defaults &&
           !own->overlay;
}

/* The entries of part number of count. The slots of the batch's table come from the low bits of the hash. */
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

static bool
open_session(struct helper *h, struct error *err)
{
    const struct crew *c = h->crew;

    if (h->session != NULL)
        return true;
    h->session = apply_session_open(c->connection, err);
    if (h->session == NULL)
        return false;
    if (flush_open(&h->flush, c->plan, c->owner.number, false, h->session, err))
        return true;
    helper_close(h);
    return false;
}

/*
 * The lock on the row of the place makes whoever takes the job over wait for this commit, or this transaction
 * find that the job was taken.
 */
static bool
begin(struct helper *h, struct error *err)
{
    const struct crew *c = h->crew;
    char job[24], number[16], instance[24];
    struct result res = {0};
    bool ok;

    snprintf(job, sizeof(job), "%" PRId64, c->owner.job_id);
    snprintf(number, sizeof(number), "%d", c->owner.number);
    snprintf(instance, sizeof(instance), "%" PRId64, c->instance);
    ok = session_execute(h->session, err, "BEGIN") &&
         session_query(h->session, &res, err,
                       "SELECT FROM pgrecast.position WHERE job_id = $1 AND table_number = $2 AND "
                       "instance = $3 FOR SHARE",
                       3, job, number, instance) &&
         apply_place_saved(&res, err);
    result_free(&res);
    return ok;
}

static void *
work(void *arg)
{
    struct helper *h = arg;

    h->ok = open_session(h, &h->error) && begin(h, &h->error);
    if (h->ok) {
        flush_start(&h->flush, &h->part, NULL, 0); /* nothing is read from the source */
        h->ok = flush_batch(&h->flush, &h->part, h->trust, &h->error);
    }
    return NULL;
}

/* The first error counts. */
static bool
join(struct crew *c, bool ok, struct error *err)
{
    for (int i = 0; i < c->count; i++) {
        struct helper *h = &c->helpers[i];

        if (!h->started)
            continue;
        pthread_join(h->thread, NULL);
        h->started = false;
        if (ok && !h->ok) {
            ok = false;
            error_move(err, &h->error);
        }
        error_clear(&h->error);
    }
    return ok;
}

static bool
start(struct helper *h)
{
    h->ok = false;
    h->started = pthread_create(&h->thread, NULL, work, h) == 0;
    return h->started;
}

/* All have written their parts: from the first commit on there is no way back. */
static bool
commit(struct crew *c, struct error *err)
{
    for (int i = 0; i < c->count; i++)
        if (!session_execute(c->helpers[i].session, err, "COMMIT"))
            return false;
    return true;
}

static void
roll_back(struct crew *c)
{
    for (int i = 0; i < c->count; i++)
        if (c->helpers[i].session != NULL)
            session_rollback(c->helpers[i].session);
}

bool
crew_write(struct crew *c, struct flush *own, const struct batch *b, enum flush_trust trust,
           struct error *err)
{
    struct batch part;
    bool ok = true;

    for (int i = 0; ok && i < c->count; i++) {
        struct helper *h = &c->helpers[i];

        take_part(&h->part, b, i + 1, c->count + 1);
        h->trust = trust;
        ok = start(h) || error_set(err, ERROR_FAILED, "cannot start a thread to apply changes");
    }
    take_part(&part, b, 0, c->count + 1);
    ok = ok && flush_batch(own, &part, trust, err);
    ok = join(c, ok, err) && commit(c, err);
    if (!ok)
        roll_back(c);
    for (int i = 0; i < c->count; i++) {
        free(c->helpers[i].part.entries);
        c->helpers[i].part.entries = NULL;
    }
    free(part.entries);
    return ok;
}
