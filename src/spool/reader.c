#include "spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/encoding.h"
#include "core/mem.h"
#include "reader.h"

int
position_compare(struct spool_position a, struct spool_position b)
{
    if (a.segment != b.segment)
        return a.segment > b.segment ? 1 : -1;
    return (a.offset > b.offset) - (a.offset < b.offset);
}

/* Find out up to where the segment may be read now, and whether another one follows it. */
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
    /* Check for the next file first: if it exists, this one does not grow any more. */
    *is_last = faccessat(r->dirfd, segment_name(r->header.number + 1, name), F_OK, 0) != 0;
    if (fstat(r->fd, &status) != 0)
        return segment_io_error(r->directory, segment_name(r->header.number, name), "read", errno, err);
    *limit = (uint64_t)status.st_size;
    return true;
}

bool
reader_enter(struct spool_reader *r, uint64_t number, struct error *err)
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

/*
 * Readers of a directory may reach the torn tail of a writer that died. Before the end of what was synced
 * nothing can be torn.
 */
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

/* Read the frame at r->next, in the next segment where this one has ended. SPOOL_EMPTY: there is none yet. */
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
                &r->window); /* a failed write is cut off, and other bytes may be written there later */
        if (r->limit > before)
            continue;
        if (outcome == FRAME_SHORT) {
            if (is_torn_tail(r, is_last))
                return SPOOL_EMPTY;
            break;
        }
        if (is_last)
            return SPOOL_EMPTY;
        if (!reader_enter(r, r->header.number + 1, err))
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
    if (r->place_count > 0 && position_compare(r->places[r->place_count - 1].position, record->position) >= 0)
        return; /* it is read again after a seek */
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
reader_is_repeated(const struct spool_reader *r, const struct definition_place *place)
{
    for (size_t i = 0; i < r->repeat_count; i++) {
        const struct definition_place *other = &r->places[r->repeats[i]];

        if (other->is_relation == place->is_relation && other->oid == place->oid)
            return true;
    }
    return false;
}

/* Find the definitions that are valid at a position: of each, the last one before it in the same segment. */
static void
choose_repeats(struct spool_reader *r, struct spool_position position)
{
    r->repeat_count = 0;
    for (size_t i = r->place_count; i-- > 0;) {
        const struct definition_place *place = &r->places[i];

        if (place->position.segment < position.segment)
            break;
        if (position_compare(place->position, position) >= 0 || reader_is_repeated(r, place))
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

/* Read one definition again that is earlier in this segment. */
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

enum spool_outcome
reader_next(struct spool_reader *r, struct spool_record *out, struct error *err)
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
    if (!r->search.over) {
        enum spool_outcome outcome = search_go_on(r, err);

        if (outcome != SPOOL_RECORD)
            return outcome;
    }
    return r->repeat_count > 0 ? read_repeat(r, out, err) : reader_next(r, out, err);
}

bool
reader_seek(struct spool_reader *r, struct spool_position position, struct error *err)
{
    if (position.segment != r->header.number && !reader_enter(r, position.segment, err))
        return false;
    r->sequence = position.offset == SEGMENT_HEADER_SIZE ? r->header.sequence : 0;
    r->next = position;
    r->reached = 0;
    choose_repeats(r, position);
    return true;
}

bool
spool_seek(struct spool_reader *r, struct spool_position position, struct error *err)
{
    if (!reader_seek(r, position, err))
        return false;
    if (!r->search.over || position_compare(position, r->search.found) < 0)
        search_begin(r, r->search.after);
    return true;
}

struct spool_position
spool_reader_position(const struct spool_reader *r)
{
    return r->search.over || !r->search.in_transaction || !r->search.begin_known ? r->next : r->search.begin;
}

lsn_t
spool_reader_lsn(const struct spool_reader *r)
{
    return r->reached;
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

/* With the lock held: whether there is a record after the position. */
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

const char *
spool_reader_encoding(const struct spool_reader *r)
{
    return encoding_numbered(r->header.identity.encoding);
}
