#include "copy/copy.h"

#include <pthread.h>
#include <stdlib.h>

#include "chunk.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/stop.h"
#include "pg/redact.h"

/* A chunk should take about this long: short enough for vacuum and for whoever waits to lock, long enough to
 * be cheap. */
#define CHUNK_SHORT_MS 400
#define CHUNK_LONG_MS 1500
#define CHUNK_MOST_BYTES (INT64_C(8) * 1024 * 1024)
#define CHUNK_LEAST_MOST_BYTES (INT64_C(512) * 1024)
#define DECODED_FACTOR 4 /* bytes that a decoder holds for a byte of the heap, for narrow rows */

struct copy {
    const struct copy_request *request;
    pthread_mutex_t lock; /* of the fields below */
    int64_t next_block;
    int64_t end_block;
    int64_t chunk_blocks;
    int64_t most_blocks; /* of a chunk that grows */
    struct chunk *todo;  /* ranges not copied yet */
    int todo_count;
    int todo_at;
    enum copy_outcome outcome;
    struct error error;

    atomic_bool cancelled;
    atomic_int running;
    int worker_count;
    pthread_t *workers;
};

/* Hand out the next chunk. False when there is none. */
static bool
take_chunk(struct copy *c, struct chunk *chunk)
{
    bool found = false;

    pthread_mutex_lock(&c->lock);
    while (!found && c->todo_at < c->todo_count && !atomic_load(&c->cancelled)) {
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

/* The first to fail decides what is reported; the others end after their chunk. */
static void
end_with(struct copy *c, enum copy_outcome outcome, struct error *err)
{
    pthread_mutex_lock(&c->lock);
    if (c->outcome == COPY_DONE) {
        c->outcome = outcome;
        if (outcome == COPY_FAILED)
            error_move(&c->error, err);
    }
    pthread_mutex_unlock(&c->lock);
    atomic_store(&c->cancelled, true);
}

static enum copy_outcome
copy_chunks(struct copy *c, struct session *s, struct error *err)
{
    struct chunk chunk;

    while (take_chunk(c, &chunk)) {
        int64_t began = clock_ms(), rows = 0;
        enum copy_outcome outcome = chunk_copy(s, c->request, chunk, &rows, err);

        if (outcome == COPY_FAILED && error_is_of_a_row(err)) {
            error_redact(err);
            chunk_name_failing_row(s, c->request, chunk, err);
        }
        if (outcome != COPY_DONE)
            return outcome;
        atomic_fetch_add(&c->request->progress->rows, rows);
        atomic_fetch_add(&c->request->progress->blocks, chunk.to - chunk.from);
        adapt(c, chunk, clock_ms() - began);
    }
    return COPY_DONE;
}

static void *
worker_main(void *arg)
{
    struct copy *c = arg;
    struct error err = {0};
    struct session *s = session_open(c->request->connection, SESSION_SQL, "copy", &err);
    enum copy_outcome outcome = COPY_FAILED;

    /* A chunk lost in a crash of the server is lost with its record, so its commit need not wait for the
     * disk. */
    if (s != NULL && session_execute(s, &err, "SET synchronous_commit = off"))
        outcome = copy_chunks(c, s, &err);
    if (outcome != COPY_DONE)
        end_with(c, outcome, &err);
    session_close(s);
    error_clear(&err);
    atomic_fetch_sub(&c->running, 1);
    return NULL;
}

/* What pgrecast.chunk does not record yet, in order of the blocks. */
static bool
find_todo(struct copy *c, struct session *s, int64_t blocks, struct error *err)
{
    struct result res = {0};
    int64_t at = 0;
    char job[24], number[16];

    snprintf(job, sizeof(job), "%lld", (long long)c->request->job_id);
    snprintf(number, sizeof(number), "%d", c->request->table_number);
    if (!session_query(
            s, &res, err,
            "SELECT first_block, end_block, rows FROM pgrecast.chunk WHERE job_id = $1 AND table_number = $2 "
            "ORDER BY first_block",
            2, job, number))
        return false;
    c->todo = mem_array(NULL, (size_t)result_rows(&res) + 1, sizeof(*c->todo));
    for (int i = 0; i < result_rows(&res); i++) {
        if (result_int(&res, i, 0) > at)
            c->todo[c->todo_count++] = (struct chunk){at, result_int(&res, i, 0)};
        at = result_int(&res, i, 1);
        atomic_fetch_add(&c->request->progress->blocks, at - result_int(&res, i, 0));
        atomic_fetch_add(&c->request->progress->rows, result_int(&res, i, 2));
    }
    if (blocks > at)
        c->todo[c->todo_count++] = (struct chunk){at, blocks};
    result_free(&res);
    return true;
}

/*
 * Every decoder of the server, our own too, holds a transaction in memory until its commit, and those of all
 * workers at once. What does not fit it writes to disk row by row, and reads back: as dear as the copy
 * itself.
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
prepare(struct copy *c, struct error *err)
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

struct copy *
copy_start(const struct copy_request *request, struct error *err)
{
    struct copy *c = mem_alloc(sizeof(*c));

    c->request = request;
    pthread_mutex_init(&c->lock, NULL);
    if (!prepare(c, err)) {
        error_context(err, "preparing the copy");
        copy_finish(c, &(struct error){0});
        return NULL;
    }
    c->workers = mem_array(NULL, (size_t)request->workers, sizeof(*c->workers));
    for (; c->worker_count < request->workers; c->worker_count++) {
        atomic_fetch_add(&c->running, 1);
        if (pthread_create(&c->workers[c->worker_count], NULL, worker_main, c) != 0) {
            atomic_fetch_sub(&c->running, 1);
            error_set(err, ERROR_FAILED, "cannot start a thread to copy rows");
            end_with(c, COPY_FAILED, err);
            break;
        }
    }
    return c;
}

bool
copy_done(const struct copy *c)
{
    return atomic_load(&c->running) == 0;
}

void
copy_cancel(struct copy *c)
{
    atomic_store(&c->cancelled, true);
}

enum copy_outcome
copy_finish(struct copy *c, struct error *err)
{
    enum copy_outcome outcome;

    for (int i = 0; i < c->worker_count; i++)
        pthread_join(c->workers[i], NULL);
    outcome = c->outcome;
    if (outcome == COPY_FAILED)
        error_move(err, &c->error);
    else if (outcome == COPY_DONE && atomic_load(&c->cancelled))
        outcome = error_set(err, ERROR_FAILED, "the copy was stopped") ? COPY_DONE : COPY_FAILED;
    pthread_mutex_destroy(&c->lock);
    error_clear(&c->error);
    free(c->workers);
    free(c->todo);
    free(c);
    return outcome;
}
