#include "spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/mem.h"
#include "frame.h"
#include "state.h"

/* Where a definition was read. Only those in the segment of a place say how rows are read there. */
struct definition_place {
    struct spool_position position;
    uint64_t end; /* offset of the record behind it */
    bool is_relation;
    uint32_t oid;
};

struct spool_reader {
    struct spool *spool; /* NULL over a directory */
    char *directory;
    int dirfd;
    int fd;
    struct segment_header header; /* of the segment that is read */
    uint64_t limit;               /* how far that may be read, as far as is known */
    struct spool_position next;
    uint64_t sequence; /* of the next record, 0: not known */
    lsn_t reached;     /* see spool_reader_lsn() */
    struct frame_window window;
    struct record_unpacker *unpacker;

    struct definition_place *places; /* all definitions read, in order */
    size_t place_count;
    size_t place_room;
    size_t *repeats; /* indexes of those to be given out again before the next record, last first */
    size_t repeat_count;
    size_t repeat_room;
};

static int
compare_positions(struct spool_position a, struct spool_position b)
{
    if (a.segment != b.segment)
        return a.segment > b.segment ? 1 : -1;
    return (a.offset > b.offset) - (a.offset < b.offset);
}

/* How far the segment may be read now, and whether a segment follows it. */
static bool
segment_state(struct spool_reader *r, uint64_t *limit, bool *is_last, struct error *err)
{
    char name[SEGMENT_NAME_SIZE];
    struct segment_info info;
    struct stat status;

    if (r->spool != NULL) {
        if (!shared_segment(&r->spool->shared, r->header.number, &info, is_last))
            return error_set(err, ERROR_FAILED, "spool file \"%s/%s\" was trimmed while it was read",
                             r->directory, segment_name(r->header.number, name));
        *limit = info.published;
        return true;
    }
    /* Look for the next file first: then this one does not grow any more. */
    *is_last = faccessat(r->dirfd, segment_name(r->header.number + 1, name), F_OK, 0) != 0;
    if (fstat(r->fd, &status) != 0)
        return segment_io_error(r->directory, segment_name(r->header.number, name), "read", errno, err);
    *limit = (uint64_t)status.st_size;
    return true;
}

/* Be at the start of a segment. */
static bool
enter_segment(struct spool_reader *r, uint64_t number, struct error *err)
{
    struct segment_header header;
    int fd = segment_open(r->dirfd, r->directory, number, O_RDONLY, &header, err);

    if (fd < 0)
        return false;
    if (r->fd >= 0)
        close(r->fd);
    r->fd = fd;
    r->header = header;
    r->limit = r->next.offset = SEGMENT_HEADER_SIZE;
    r->next.segment = number;
    r->sequence = header.sequence;
    frame_window_reset(&r->window);
    return true;
}

/* The readers of a directory meet the torn tail of a writer that died; before what was synced nothing is
 * torn. */
static bool
is_torn_tail(struct spool_reader *r, bool is_last)
{
    struct error ignored = {0};
    struct segment_header header;
    int fd;

    if (r->spool != NULL || !is_last)
        return false;
    fd = segment_open(r->dirfd, r->directory, r->header.number, O_RDONLY, &header, &ignored);
    error_clear(&ignored);
    if (fd < 0)
        return false;
    close(fd);
    return r->next.offset >= header.synced;
}

/* The frame at r->next, in the next segment where this one has ended. SPOOL_EMPTY: there is none yet. */
static enum spool_outcome
next_frame(struct spool_reader *r, struct frame *frame, struct error *err)
{
    const char *why = NULL;
    char name[SEGMENT_NAME_SIZE];
    bool is_last = true;

    for (;;) {
        enum frame_outcome outcome = frame_read(&r->window, r->fd, r->next.offset, r->limit, frame, &why);
        uint64_t before = r->limit;

        if (outcome == FRAME_SOUND && r->sequence != 0 && frame->sequence != r->sequence) {
            why = "a record is out of sequence";
            outcome = FRAME_BAD;
        }
        if (outcome == FRAME_SOUND)
            return SPOOL_RECORD;
        if (outcome == FRAME_IO) {
            segment_io_error(r->directory, segment_name(r->header.number, name), "read", errno, err);
            return SPOOL_ERROR;
        }
        if (outcome == FRAME_BAD)
            break;
        if (!segment_state(r, &r->limit, &is_last, err))
            return SPOOL_ERROR;
        if (outcome == FRAME_SHORT)
            frame_window_reset(
                &r->window); /* a write that failed is cut and may come again with other bytes */
        if (r->limit > before)
            continue;
        if (outcome == FRAME_SHORT) {
            if (is_torn_tail(r, is_last))
                return SPOOL_EMPTY;
            break;
        }
        if (is_last)
            return SPOOL_EMPTY;
        if (!enter_segment(r, r->header.number + 1, err))
            return SPOOL_ERROR;
    }
    segment_damage(r->directory, r->header.number, r->next.offset, why, err);
    return SPOOL_ERROR;
}

static void
forget_trimmed_places(struct spool_reader *r)
{
    uint64_t first = 0;
    size_t gone = 0;

    if (r->spool != NULL) {
        pthread_mutex_lock(&r->spool->shared.lock);
        first = r->spool->shared.first;
        pthread_mutex_unlock(&r->spool->shared.lock);
    }
    while (gone < r->place_count && r->places[gone].position.segment < first)
        gone++;
    if (gone > 0)
        memmove(r->places, r->places + gone, (r->place_count - gone) * sizeof(*r->places));
    r->place_count -= gone;
}

static void
remember_place(struct spool_reader *r, const struct spool_record *record)
{
    const struct message *m = &record->message;
    struct definition_place *place;

    if (m->kind != MESSAGE_RELATION && m->kind != MESSAGE_TYPE)
        return;
    if (r->place_count > 0 &&
        compare_positions(r->places[r->place_count - 1].position, record->position) >= 0)
        return; /* read again after a seek */
    if (r->place_count == r->place_room)
        forget_trimmed_places(r);
    if (r->place_count == r->place_room) {
        r->place_room = r->place_room > 0 ? r->place_room * 2 : 64;
        r->places = mem_array(r->places, r->place_room, sizeof(*r->places));
    }
    place = &r->places[r->place_count++];
    place->position = record->position;
    place->end = record->next.offset;
    place->is_relation = m->kind == MESSAGE_RELATION;
    place->oid = place->is_relation ? m->relation.oid : m->type.oid;
}

static bool
is_repeated(const struct spool_reader *r, const struct definition_place *place)
{
    for (size_t i = 0; i < r->repeat_count; i++) {
        const struct definition_place *other = &r->places[r->repeats[i]];

        if (other->is_relation == place->is_relation && other->oid == place->oid)
            return true;
    }
    return false;
}

/* The definitions that hold at a place: the last of each that stands before it in its segment. */
static void
choose_repeats(struct spool_reader *r, struct spool_position position)
{
    r->repeat_count = 0;
    for (size_t i = r->place_count; i-- > 0;) {
        const struct definition_place *place = &r->places[i];

        if (place->position.segment < position.segment)
            break;
        if (compare_positions(place->position, position) >= 0 || is_repeated(r, place))
            continue;
        if (r->repeat_count == r->repeat_room) {
            r->repeat_room = r->repeat_room > 0 ? r->repeat_room * 2 : 16;
            r->repeats = mem_array(r->repeats, r->repeat_room, sizeof(*r->repeats));
        }
        r->repeats[r->repeat_count++] = i;
    }
}

static bool
unpack(struct spool_reader *r, const struct frame *frame, uint64_t offset, struct spool_record *out,
       enum record_outcome *outcome, struct error *err)
{
    const char *why = NULL;

    *outcome = record_unpack(r->unpacker, frame->payload, frame->length, &out->message, &out->lsn, &why);
    return *outcome != RECORD_BAD || segment_damage(r->directory, r->header.number, offset, why, err);
}

/* One definition again, which stands earlier in this segment. */
static enum spool_outcome
read_repeat(struct spool_reader *r, struct spool_record *out, struct error *err)
{
    const struct definition_place *place = &r->places[r->repeats[r->repeat_count - 1]];
    struct frame_window window = {0};
    enum spool_outcome result = SPOOL_ERROR;
    enum record_outcome kind;
    const char *why = "a definition is not there any more";
    struct frame frame;

    if (frame_read(&window, r->fd, place->position.offset, place->end, &frame, &why) != FRAME_SOUND)
        segment_damage(r->directory, r->header.number, place->position.offset, why, err);
    else if (unpack(r, &frame, place->position.offset, out, &kind, err))
        result = SPOOL_RECORD;
    frame_window_free(&window);
    out->position = out->next = r->next;
    r->repeat_count--;
    return result;
}

/* The record at r->next. */
static enum spool_outcome
read_record(struct spool_reader *r, struct spool_record *out, struct error *err)
{
    enum record_outcome kind;
    struct frame frame;

    do {
        enum spool_outcome outcome = next_frame(r, &frame, err);

        if (outcome != SPOOL_RECORD)
            return outcome;
        if (!unpack(r, &frame, r->next.offset, out, &kind, err))
            return SPOOL_ERROR;
        out->position = r->next;
        r->next.offset = frame.next;
        r->sequence = frame.sequence + 1;
        out->next = r->next;
        if (kind == RECORD_PROGRESS)
            r->reached = out->lsn;
    } while (kind == RECORD_PROGRESS);
    if (out->message.kind == MESSAGE_COMMIT)
        r->reached = out->message.commit.end_lsn;
    remember_place(r, out);
    return SPOOL_RECORD;
}

enum spool_outcome
spool_read(struct spool_reader *r, struct spool_record *out, struct error *err)
{
    record_unpacker_reset(r->unpacker);
    return r->repeat_count > 0 ? read_repeat(r, out, err) : read_record(r, out, err);
}

bool
spool_seek(struct spool_reader *r, struct spool_position position, struct error *err)
{
    if (position.segment != r->header.number && !enter_segment(r, position.segment, err))
        return false;
    r->sequence = position.offset == SEGMENT_HEADER_SIZE ? r->header.sequence : 0;
    r->next = position;
    r->reached = 0;
    choose_repeats(r, position);
    return true;
}

struct spool_position
spool_reader_position(const struct spool_reader *r)
{
    return r->next;
}

lsn_t
spool_reader_lsn(const struct spool_reader *r)
{
    return r->reached;
}

static struct spool_reader *
reader_new(const char *directory)
{
    struct spool_reader *r = mem_alloc(sizeof(*r));

    r->directory = mem_strdup(directory);
    r->dirfd = r->fd = -1;
    r->unpacker = record_unpacker_new();
    return r;
}

void
spool_reader_close(struct spool_reader *r)
{
    if (r == NULL)
        return;
    if (r->fd >= 0)
        close(r->fd);
    if (r->dirfd >= 0)
        close(r->dirfd);
    frame_window_free(&r->window);
    record_unpacker_free(r->unpacker);
    free(r->places);
    free(r->repeats);
    free(r->directory);
    free(r);
}

/*
 * Where to start looking for the first transaction that ends after the LSN: the first segment whose successor
 * starts behind that LSN, or where the transaction that is open at its start begins. False: it was trimmed.
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

/* The search of spool_reader_open() for a place to start. */
struct search {
    lsn_t after;
    bool in_transaction;
    bool begin_known; /* false: it was trimmed */
    struct spool_position begin;
    struct spool_position found;
};

/* True when the record shows where to start. */
static bool
search_record(struct search *search, const struct spool_record *record)
{
    const struct message *m = &record->message;

    switch (m->kind) {
    case MESSAGE_BEGIN:
        search->in_transaction = search->begin_known = true;
        search->begin = search->found = record->position;
        return m->begin.final_lsn >= search->after;
    case MESSAGE_COMMIT:
        search->in_transaction = false;
        search->found = search->begin;
        return search->begin_known && m->commit.end_lsn > search->after;
    case MESSAGE_LOGICAL:
        search->found = record->position;
        return !search->in_transaction && record->lsn > search->after;
    default:
        return false;
    }
}

static bool
trimmed_error(const struct spool_reader *r, lsn_t after, struct error *err)
{
    char lsn[LSN_TEXT_SIZE];

    return error_set(err, ERROR_FAILED, "the spool in \"%s\" does not go back to %s any more", r->directory,
                     lsn_format(after, lsn));
}

static bool
find_start(struct spool_reader *r, lsn_t after, struct error *err)
{
    struct search search = {.after = after, .in_transaction = r->header.open.segment != 0};
    enum spool_outcome outcome;
    struct spool_record record;

    while ((outcome = spool_read(r, &record, err)) == SPOOL_RECORD && !search_record(&search, &record)) {
        if (record.message.kind == MESSAGE_COMMIT && after > 0 && record.message.commit.end_lsn > after)
            return trimmed_error(r, after, err); /* its begin is not there */
    }
    if (outcome == SPOOL_ERROR)
        return false;
    if (outcome == SPOOL_EMPTY)
        search.found = search.in_transaction && search.begin_known ? search.begin : r->next;
    return spool_seek(r, search.found, err);
}

struct spool_reader *
spool_reader_open(struct spool *s, lsn_t after, struct error *err)
{
    struct spool_reader *r = reader_new(s->directory);
    uint64_t number;

    r->spool = s;
    r->dirfd =
        openat(s->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* a duplicate would share the lock */
    if (r->dirfd < 0) {
        segment_io_error(s->directory, "", "open directory", errno, err);
        goto failed;
    }
    if (!first_segment_for(&s->shared, after, &number)) {
        trimmed_error(r, after, err);
        goto failed;
    }
    if (!enter_segment(r, number, err) || !find_start(r, after, err))
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
        ok = enter_segment(r, numbers[0], err) && find_start(r, 0, err);
    free(numbers);
    free(foreign);
    if (ok)
        return r;
    spool_reader_close(r);
    return NULL;
}

/* With the lock held: is there a record behind the position? */
static bool
has_more(const struct shared_state *shared, struct spool_position position)
{
    for (size_t i = shared->count; i-- > 0 && shared->first + i >= position.segment;) {
        uint64_t read = shared->first + i == position.segment ? position.offset : SEGMENT_HEADER_SIZE;

        if (shared->segments[i].published > read)
            return true;
    }
    return false;
}

bool
spool_wait(struct spool *s, const struct spool_reader *r, int ms)
{
    struct shared_state *shared = &s->shared;
    struct timespec until;
    bool more;

    if (r->repeat_count > 0)
        return true;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&shared->lock);
    while (!(more = has_more(shared, r->next)) &&
           pthread_cond_timedwait(&shared->grown, &shared->lock, &until) == 0)
        continue;
    pthread_mutex_unlock(&shared->lock);
    return more;
}
