#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"
#include "frame.h"
#include "state.h"

/* The result of reading a segment from its beginning up to the first record that is not kept. */
struct scan {
    struct segment_header header;
    lsn_t fork;      /* no transaction that ends after it is kept */
    uint64_t offset; /* up to here the segment is sound */
    uint64_t sequence;
    const char *torn; /* why it is not sound after that; NULL where it ends there */
    bool beyond;      /* the next record is sound but beyond the fork */
    lsn_t end_lsn;
    lsn_t committed;
    bool in_transaction;
    struct spool_position begin; /* of the open transaction */
    uint64_t begin_sequence;     /* 0: it began in an earlier segment */
};

/* Note a sound record. False where it is beyond the fork. */
static bool
scan_message(struct scan *scan, const struct message *m, lsn_t lsn)
{
    switch (m->kind) {
    case MESSAGE_BEGIN:
        scan->in_transaction = true;
        scan->begin.segment = scan->header.number;
        scan->begin.offset = scan->offset;
        scan->begin_sequence = scan->sequence;
        return true;
    case MESSAGE_COMMIT:
        if (m->commit.end_lsn > scan->fork)
            return false; /* the transaction stays open, so that it is cut off at its beginning */
        scan->in_transaction = false;
        scan->end_lsn = scan->committed = m->commit.end_lsn;
        return true;
    case MESSAGE_LOGICAL:
        return scan->in_transaction || lsn < scan->fork;
    default:
        return true;
    }
}

static bool
scan_record(struct scan *scan, struct record_unpacker *unpacker, const struct frame *frame)
{
    struct message message;
    lsn_t lsn;

    if (frame->sequence != scan->sequence) {
        scan->torn = "a record is out of sequence";
        return false;
    }
    switch (record_unpack(unpacker, frame->payload, frame->length, &message, &lsn, &scan->torn)) {
    case RECORD_BAD:
        return false;
    case RECORD_PROGRESS:
        scan->beyond = lsn > scan->fork;
        if (!scan->beyond)
            scan->end_lsn = lsn;
        break;
    case RECORD_CHANGE:
        scan->beyond = !scan_message(scan, &message, lsn);
        break;
    }
    if (scan->beyond)
        return false;
    scan->sequence++;
    scan->offset = frame->next;
    return true;
}

/* Read up to limit, at most. False only when the file cannot be read. */
static bool
scan_frames(const struct spool *s, struct scan *scan, int fd, uint64_t limit, struct error *err)
{
    struct record_unpacker *unpacker = record_unpacker_new();
    struct frame_window window = {0};
    enum frame_outcome outcome;
    char name[SEGMENT_NAME_SIZE];
    struct frame frame;

    do
        outcome = frame_read(&window, fd, scan->offset, limit, &frame, &scan->torn);
    while (outcome == FRAME_SOUND && scan_record(scan, unpacker, &frame));
    if (outcome == FRAME_IO)
        segment_io_error(s->directory, segment_name(scan->header.number, name), "read", errno, err);
    frame_window_free(&window);
    record_unpacker_free(unpacker);
    return outcome != FRAME_IO;
}

/* Read a segment up to limit, at most. Its file becomes the one to which the spool writes. */
static bool
scan_segment(struct spool *s, uint64_t number, uint64_t limit, lsn_t fork, struct scan *scan,
             struct error *err)
{
    char name[SEGMENT_NAME_SIZE];
    off_t size;

    memset(scan, 0, sizeof(*scan));
    if (s->fd >= 0)
        close(s->fd);
    s->number = number;
    s->fd = segment_open(s->dirfd, s->directory, number, O_RDWR, &scan->header, err);
    if (s->fd < 0)
        return false;
    size = lseek(s->fd, 0, SEEK_END);
    if (size < 0)
        return segment_io_error(s->directory, segment_name(number, name), "read", errno, err);
    if (limit > (uint64_t)size)
        limit = (uint64_t)size;
    scan->fork = fork;
    scan->offset = SEGMENT_HEADER_SIZE;
    scan->sequence = scan->header.sequence;
    scan->end_lsn = scan->header.first_lsn;
    scan->committed = scan->header.committed;
    scan->in_transaction = scan->header.open.segment != 0;
    scan->begin = scan->header.open;
    return scan_frames(s, scan, s->fd, limit, err);
}

/* A tail can be torn only after the end of what was synced, and only in the last segment. */
static bool
check_tail(const struct spool *s, const struct scan *scan, bool is_last, struct error *err)
{
    const char *why = scan->torn != NULL ? scan->torn : "the file is too short";

    return scan->beyond || (is_last && scan->offset >= scan->header.synced) ||
           segment_damage(s->directory, s->number, scan->offset, why, err);
}

/*
 * The transaction that is open at the end began in an earlier segment: cut there. Where even that segment is
 * gone, the transaction had been read to its end and then trimmed, but its end was never on disk. Then
 * nothing of the spool is kept, and the server sends the transaction again.
 */
static bool
go_back_to_begin(struct spool *s, struct scan *scan, struct error *err)
{
    struct spool_position begin = scan->begin;

    if (begin.segment < s->shared.first)
        return true;
    if (!scan_segment(s, begin.segment, begin.offset, scan->fork, scan, err))
        return false;
    if (scan->torn == NULL && scan->offset == begin.offset && !scan->in_transaction)
        return true;
    return segment_damage(s->directory, s->number, scan->offset,
                          scan->torn != NULL ? scan->torn : "a transaction does not begin where it should",
                          err);
}

/* Remove from the newest one on, one by one, because a crash must not leave a gap. */
static bool
remove_segments_after(struct spool *s, uint64_t number, struct error *err)
{
    struct shared_state *shared = &s->shared;
    char name[SEGMENT_NAME_SIZE];

    while (shared->count > 0 && shared->first + shared->count - 1 > number) {
        if (unlinkat(s->dirfd, segment_name(shared->first + shared->count - 1, name), 0) != 0)
            return segment_io_error(s->directory, name, "remove", errno, err);
        if (fsync(s->dirfd) != 0)
            return segment_io_error(s->directory, "", "sync directory", errno, err);
        shared->count--;
    }
    return true;
}

/* Cut the segment's file at offset. What is before offset is on disk afterwards. */
static bool
cut_segment(struct spool *s, uint64_t offset, struct error *err)
{
    char name[SEGMENT_NAME_SIZE];

    /* A mark beyond the end would look like damage, so it is set back first. */
    if (!segment_mark_synced(s->fd, s->directory, s->number, SEGMENT_HEADER_SIZE, err))
        return false;
    if (fsync(s->fd) != 0 || ftruncate(s->fd, (off_t)offset) != 0 || fsync(s->fd) != 0)
        return segment_io_error(s->directory, segment_name(s->number, name), "cut", errno, err);
    s->written = s->synced = offset;
    s->marked = SEGMENT_HEADER_SIZE;
    s->shared.segments[s->shared.count - 1].published = offset;
    return true;
}

/*
 * Find the segment in which the spool passes the fork, or the last one. False: the spool begins beyond the
 * fork.
 */
static bool
segment_of_fork(const struct shared_state *shared, lsn_t fork, uint64_t *number)
{
    size_t i = shared->count;

    while (i > 0 && shared->segments[i - 1].first_lsn > fork)
        i--;
    *number = shared->first + i - 1;
    return i > 0;
}

/* Nothing in the spool is before the fork. */
static bool
forget_all(struct spool *s, lsn_t fork, struct error *err)
{
    s->number = s->shared.first + s->shared.count - 1;
    s->committed = fork;
    atomic_store(&s->end_lsn, fork);
    return remove_segments_after(s, 0, err);
}

/*
 * Segments are removed before the file that stays is cut: after a crash in between the same position is found
 * again.
 */
bool
spool_recover(struct spool *s, lsn_t fork, struct error *err)
{
    uint64_t last = s->shared.first + s->shared.count - 1, number;
    struct scan scan;

    if (!segment_of_fork(&s->shared, fork, &number))
        return forget_all(s, fork, err);
    if (!scan_segment(s, number, UINT64_MAX, fork, &scan, err) || !check_tail(s, &scan, number == last, err))
        return false;
    if (scan.torn != NULL)
        log_warning("the last write to the spool was not whole (%s): it is cut, to be received again",
                    scan.torn);
    if (scan.in_transaction && scan.begin.segment < s->number && !go_back_to_begin(s, &scan, err))
        return false;
    s->sequence = scan.in_transaction && scan.begin_sequence > 0 ? scan.begin_sequence : scan.sequence;
    s->committed = scan.committed;
    atomic_store(&s->end_lsn, scan.end_lsn);
    if (scan.in_transaction && scan.begin.segment < s->shared.first)
        return remove_segments_after(s, 0, err);
    return remove_segments_after(s, s->number, err) &&
           cut_segment(s, scan.in_transaction ? scan.begin.offset : scan.offset, err);
}

static bool
identity_error(const struct spool *s, const char *what, const struct spool_identity *found, struct error *err)
{
    error_set(err, ERROR_FAILED, "spool directory \"%s\" belongs to another %s", s->directory, what);
    return error_detail(err,
                        "It was made for job \"%s\", slot \"%s\", system %" PRIu64 ", timeline %" PRIu32 ".",
                        found->job, found->slot, found->system_identifier, found->timeline);
}

static bool
check_identity(const struct spool *s, const struct spool_identity *found, struct error *err)
{
    const struct spool_identity *own = &s->identity;

    if (strcmp(found->job, own->job) != 0)
        return identity_error(s, "job", found, err);
    if (strcmp(found->slot, own->slot) != 0)
        return identity_error(s, "replication slot", found, err);
    if (found->system_identifier != own->system_identifier)
        return identity_error(s, "cluster", found, err);
    if (found->database != 0 && own->database != 0 && found->database != own->database)
        return identity_error(s, "database", found, err);
    return true;
}

bool
spool_timeline_error(const struct spool *s, uint32_t timeline, struct error *err)
{
    struct spool_identity found = s->identity;

    found.timeline = timeline;
    return identity_error(s, "timeline", &found, err);
}

static bool
add_found(struct spool *s, uint64_t number, uint32_t *timeline, struct error *err)
{
    struct segment_header header;
    struct segment_info info = {0};
    char name[SEGMENT_NAME_SIZE];
    struct stat status;
    int fd = segment_open(s->dirfd, s->directory, number, O_RDONLY, &header, err);
    bool ok;

    if (fd < 0)
        return false;
    ok = fstat(fd, &status) == 0 ||
         segment_io_error(s->directory, segment_name(number, name), "read", errno, err);
    close(fd);
    if (!ok || !check_identity(s, &header.identity, err))
        return false;
    if (header.identity.timeline < *timeline)
        return segment_damage(s->directory, number, 0, "its timeline is older than that of the file before",
                              err);
    *timeline = header.identity.timeline;
    info.first_lsn = header.first_lsn;
    info.committed = header.committed;
    info.open = header.open;
    info.published = (uint64_t)status.st_size;
    shared_add_segment(&s->shared, number, &info);
    return true;
}

bool
spool_find(struct spool *s, uint32_t *timeline, struct error *err)
{
    uint64_t *numbers = NULL;
    char *foreign = NULL;
    size_t count = 0;
    bool ok;

    *timeline = 0;
    ok = segment_list(s->dirfd, s->directory, true, &numbers, &count, &foreign, err);
    for (size_t i = 0; ok && i < count; i++) {
        if (i > 0 && numbers[i] != numbers[i - 1] + 1)
            ok = segment_damage(s->directory, numbers[i - 1] + 1, 0, "the file is missing", err);
        else
            ok = add_found(s, numbers[i], timeline, err);
    }
    free(numbers);
    free(foreign);
    return ok;
}
