#include "copy/copy.h"

#include <pthread.h>
#include <stdlib.h>

#include "chunk.h"
#include "core/clock.h"
#include "core/mem.h"
#include "state/chunk.h"
#include "state/guard.h"
#include "core/stop.h"
#include "pg/redact.h"
#include "pg/workers.h"

/*
 * The time that a chunk should take: short enough for vacuum and for sessions that wait for a lock, long
 * enough to keep the overhead small.
 */
#define CHUNK_SHORT_MS 400
#define CHUNK_LONG_MS 1500
#define CHUNK_MOST_BYTES (INT64_C(8) * 1024 * 1024)
#define CHUNK_LEAST_MOST_BYTES (INT64_C(512) * 1024)
#define DECODED_FACTOR 4 /* bytes that a decoder uses for one byte of the heap, for narrow rows */

struct copy {
    const struct copy_request *request;
    pthread_mutex_t lock; /* protects the fields below */
    int64_t chunk_blocks;
    int64_t most_blocks; /* upper limit for a growing chunk */
    struct chunk *todo;  /* ranges that are not copied yet */
    int todo_count;
    int todo_at;

    char *settings; /* statements for the workers' sessions */
    struct workers *workers;
    atomic_bool rewritten; /* the source was rewritten, and this has ended the workers */
};

/* Give out the next chunk. False when there is none. */
static bool
take_chunk(struct copy *c, struct chunk *chunk)
{
    bool found = false;

    pthread_mutex_lock(&c->lock);
    while (!found && c->todo_at < c->todo_count && !workers_ending(c->workers)) {
        struct chunk *range = &c->todo[c->todo_at];

        if (range->from >= range->to) {
            c->todo_at++;
            continue;
        }
        chunk->from = range->from;
        chunk->to = range->to - range->from > c->chunk_blocks ? range->from + c->chunk_blocks : range->to;
        range->from = chunk->to;
        found = true;
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

static void
adapt(struct copy *c, struct chunk chunk, int64_t took_ms)
{
    pthread_mutex_lock(&c->lock);
    if (chunk.to - chunk.from >= c->chunk_blocks) {
        if (took_ms < CHUNK_SHORT_MS && c->chunk_blocks * 2 <= c->most_blocks)
            c->chunk_blocks *= 2;
        else if (took_ms > CHUNK_LONG_MS && c->chunk_blocks > 1)
            c->chunk_blocks /= 2;
    }
    pthread_mutex_unlock(&c->lock);
}

/*
 * The work of one worker. When it fails, or when the source was rewritten, the others end after their chunk.
 */
static bool
copy_chunks(void *arg, int number, struct session *s, struct error *err)
{
    struct copy *c = arg;
    struct chunk chunk;

    (void)number;
    while (take_chunk(c, &chunk)) {
        int64_t began = clock_ms(), rows = 0;
        enum copy_outcome outcome = chunk_copy(s, c->request, chunk, &rows, err);

        if (outcome == COPY_FAILED) {
            error_redact(err);
            chunk_name_failing_row(s, c->request, chunk, err);
            return false;
        }
        if (outcome == COPY_REWRITTEN) {
            if (workers_end(c->workers))
                atomic_store(&c->rewritten, true);
            return true;
        }
        atomic_fetch_add(&c->request->progress->rows, rows);
        atomic_fetch_add(&c->request->progress->blocks, chunk.to - chunk.from);
        adapt(c, chunk, clock_ms() - began);
    }
    return true;
}

/* List the ranges that are not recorded as copied yet, in order of the blocks. */
static bool
find_todo(struct copy *c, struct session *s, int64_t blocks, struct error *err)
{
    struct state_chunk *copied;
    int64_t at = 0;
    int count;
    bool ok = state_chunk_read(s, &c->request->table, c->request->plan->source->oid, &copied, &count, err);

    c->todo = mem_array(NULL, (size_t)count + 1, sizeof(*c->todo));
    for (int i = 0; i < count; i++) {
        if (copied[i].first_block > at)
            c->todo[c->todo_count++] = (struct chunk){at, copied[i].first_block};
        at = copied[i].end_block;
        atomic_fetch_add(&c->request->progress->blocks, at - copied[i].first_block);
        atomic_fetch_add(&c->request->progress->rows, copied[i].rows);
    }
    if (blocks > at)
        c->todo[c->todo_count++] = (struct chunk){at, blocks};
    free(copied);
    return ok;
}

/*
 * Every decoder of the server, including the job's own, holds a transaction in memory until its commit, and
 * so holds those of all workers at the same time. A decoder writes what does not fit to disk row by row and
 * reads it back, which costs as much as the copy itself.
 */
static int64_t
most_bytes(const struct copy *c, int64_t decoder_bytes)
{
    int64_t most = decoder_bytes / DECODED_FACTOR / c->request->workers;

    if (most < CHUNK_LEAST_MOST_BYTES)
        return CHUNK_LEAST_MOST_BYTES;
    return most < CHUNK_MOST_BYTES ? most : CHUNK_MOST_BYTES;
}

static bool
copy_prepare(struct copy *c, struct error *err)
{
    struct copy_progress *progress = c->request->progress;
    struct session *s = session_open(c->request->connection, SESSION_SQL, "copy", err);
    struct chunk_bounds bounds;
    bool ok;

    if (s == NULL)
        return false;
    atomic_store(&progress->rows, 0);
    atomic_store(&progress->blocks, 0);
    ok = chunk_find_bounds(s, c->request->plan, &bounds, err) && find_todo(c, s, bounds.blocks, err);
    if (ok) {
        progress->block_size = bounds.block_size;
        atomic_store(&progress->total_blocks, bounds.blocks);
        c->most_blocks = most_bytes(c, bounds.decoder_bytes) / bounds.block_size;
        c->chunk_blocks = c->request->chunk_bytes / bounds.block_size;
        if (c->chunk_blocks > c->most_blocks)
            c->chunk_blocks = c->most_blocks;
        if (c->chunk_blocks < 1)
            c->chunk_blocks = 1;
    }
    session_close(s);
    return ok;
}

static void
copy_free(struct copy *c)
{
    workers_free(c->workers);
    free(c->settings);
    pthread_mutex_destroy(&c->lock);
    free(c->todo);
    free(c);
}

struct copy *
copy_start(const struct copy_request *request, struct error *err)
{
    struct workers_options options = {
        .count = request->workers,
        .connection = request->connection,
        .purpose = "copy",
        .evaluates = true,
    };
    struct copy *c = mem_alloc(sizeof(*c));
    char *guard = guard_session_settings(request->table.job_id);

    c->request = request;
    /*
     * If the server loses a chunk in a crash, it loses its record too, so the commit need not wait for the
     * disk.
     */
    c->settings = mem_printf("SET synchronous_commit = off; %s", guard);
    options.settings = c->settings;
    free(guard);
    pthread_mutex_init(&c->lock, NULL);
    if (!copy_prepare(c, err)) {
        error_context(err, "preparing the copy");
        copy_free(c);
        return NULL;
    }
    c->workers = workers_new(&options);
    workers_start(c->workers, request->workers, copy_chunks, c, 0);
    return c;
}

bool
copy_done(const struct copy *c)
{
    return workers_done(c->workers);
}

void
copy_cancel(struct copy *c)
{
    workers_end(c->workers);
}

enum copy_outcome
copy_finish(struct copy *c, struct error *err)
{
    enum copy_outcome outcome = COPY_FAILED;

    switch (workers_join(c->workers, err)) {
    case WORKERS_DONE:
        outcome = COPY_DONE;
        break;
    case WORKERS_ENDED:
        if (atomic_load(&c->rewritten))
            outcome = COPY_REWRITTEN;
        else
            error_set(err, ERROR_FAILED, "the copy was stopped");
        break;
    case WORKERS_FAILED:
        break;
    }
    copy_free(c);
    return outcome;
}
