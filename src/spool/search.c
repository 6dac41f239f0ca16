#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "core/mem.h"
#include "reader.h"

static struct spool_reader *
reader_new(const char *directory)
{
    struct spool_reader *r = mem_alloc(sizeof(*r));

    r->directory = mem_strdup(directory);
    r->dirfd = r->fd = -1;
    r->unpacker = record_unpacker_new();
    return r;
}

/*
 * Where to begin the search for the first transaction that ends after the LSN: in the first segment whose
 * successor begins after that LSN, or, if a transaction is open at its start, where that transaction begins.
 * False: it was trimmed.
 */
static bool
first_segment_for(struct shared_state *shared, lsn_t after, uint64_t *number)
{
    bool found;
    size_t i = 0;

    pthread_mutex_lock(&shared->lock);
    found = after == 0 || shared->segments[0].committed <= after;
    while (i + 1 < shared->count && shared->segments[i + 1].first_lsn <= after)
        i++;
    *number = shared->first + i;
    if (shared->segments[i].open.segment >= shared->first)
        *number = shared->segments[i].open.segment;
    pthread_mutex_unlock(&shared->lock);
    return found;
}

static bool
trimmed_error(const struct spool_reader *r, lsn_t after, struct error *err)
{
    char lsn[LSN_TEXT_SIZE];

    return error_set(err, ERROR_FAILED, "the spool in \"%s\" does not go back to %s any more", r->directory,
                     lsn_format(after, lsn));
}

void
search_begin(struct spool_reader *r, lsn_t after)
{
    bool at_start = r->next.offset == SEGMENT_HEADER_SIZE;

    r->search = (struct search){.after = after, .in_transaction = at_start && r->header.open.segment != 0};
    r->repeat_count = 0; /* determined again for the position that is found */
}

static void
found_at(struct search *search, struct spool_position place)
{
    search->over = true;
    search->found = place;
}

/* False: the record ends a transaction that must be read but whose beginning is missing. */
static bool
search_record(struct search *search, const struct spool_record *record)
{
    const struct message *m = &record->message;

    switch (m->kind) {
    case MESSAGE_BEGIN:
        search->in_transaction = search->begin_known = true;
        search->begin = record->position;
        if (m->begin.final_lsn >= search->after)
            found_at(search, search->begin);
        return true;
    case MESSAGE_COMMIT:
        search->in_transaction = false;
        if (m->commit.end_lsn <= search->after)
            return true;
        if (search->begin_known)
            found_at(search, search->begin);
        return search->begin_known || search->after == 0;
    case MESSAGE_LOGICAL:
        if (!search->in_transaction && record->lsn > search->after)
            found_at(search, record->position);
        return true;
    default:
        return true;
    }
}

enum spool_outcome
search_go_on(struct spool_reader *r, struct error *err)
{
    struct spool_record record;

    while (!r->search.over) {
        enum spool_outcome outcome = reader_next(r, &record, err);

        if (outcome != SPOOL_RECORD)
            return outcome;
        if (!search_record(&r->search, &record)) {
            trimmed_error(r, r->search.after, err);
            return SPOOL_ERROR;
        }
    }
    return reader_seek(r, r->search.found, err) ? SPOOL_RECORD : SPOOL_ERROR;
}

/* Enter a segment, and search up to the end of what it has. */
static bool
find_start(struct spool_reader *r, uint64_t number, lsn_t after, struct error *err)
{
    if (!reader_enter(r, number, err))
        return false;
    search_begin(r, after);
    return search_go_on(r, err) != SPOOL_ERROR;
}

struct spool_reader *
spool_reader_open(struct spool *s, lsn_t after, struct error *err)
{
    struct spool_reader *r = reader_new(s->directory);
    uint64_t number;

    r->spool = s;
    /* A duplicate of the descriptor would share the lock. */
    r->dirfd = openat(s->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->dirfd < 0) {
        segment_io_error(s->directory, "", "open directory", errno, err);
        goto failed;
    }
    if (!first_segment_for(&s->shared, after, &number)) {
        trimmed_error(r, after, err);
        goto failed;
    }
    if (!find_start(r, number, after, err))
        goto failed;
    return r;
failed:
    spool_reader_close(r);
    return NULL;
}

struct spool_reader *
spool_reader_open_directory(const char *directory, struct error *err)
{
    struct spool_reader *r = reader_new(directory);
    uint64_t *numbers = NULL;
    char *foreign = NULL;
    size_t count = 0;
    bool ok = false;

    r->dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->dirfd < 0)
        segment_io_error(directory, "", "open directory", errno, err);
    else if (segment_list(r->dirfd, directory, false, &numbers, &count, &foreign, err) && count == 0)
        error_set(err, ERROR_FAILED, "there is no spool in \"%s\"", directory);
    else if (count > 0)
        ok = find_start(r, numbers[0], 0, err);
    free(numbers);
    free(foreign);
    if (ok)
        return r;
    spool_reader_close(r);
    return NULL;
}
