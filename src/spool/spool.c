#include "spool/spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "directory.h"
#include "state.h"

bool
spool_start_segment(struct spool *s, struct error *err)
{
    struct segment_header header = {
        .identity = s->identity,
        .number = s->number + 1,
        .sequence = s->sequence,
        .first_lsn = atomic_load(&s->end_lsn),
        .committed = s->committed,
    };
    struct segment_info info = {
        .first_lsn = header.first_lsn, .committed = header.committed, .published = SEGMENT_HEADER_SIZE};
    int fd;

    if (s->in_transaction)
        header.open = info.open = s->begin;
    fd = segment_create(s->dirfd, s->directory, &header, err);
    if (fd < 0)
        return false;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = fd;
    s->number = header.number;
    s->written = s->synced = s->marked = SEGMENT_HEADER_SIZE;
    shared_add_segment(&s->shared, s->number, &info);
    return true;
}

static struct spool *
spool_new(const char *directory, const struct spool_identity *identity, uint64_t segment_bytes)
{
    struct spool *s = mem_alloc(sizeof(*s));

    s->directory = mem_strdup(directory);
    s->dirfd = s->fd = -1;
    s->identity = *identity;
    s->segment_bytes = segment_bytes;
    s->sequence = 1;
    s->packer = record_packer_new();
    shared_init(&s->shared);
    return s;
}

/* Open what is in the directory, ready to be continued; without a segment where there is none. */
static bool
spool_take_over(struct spool *s, struct error *err)
{
    uint32_t timeline;

    if (!spool_find(s, &timeline, err))
        return false;
    if (s->shared.count == 0)
        return true;
    if (timeline != s->identity.timeline)
        return spool_timeline_error(s, timeline, err);
    return spool_recover(s, UINT64_MAX, err);
}

struct spool *
spool_open(const char *directory, const struct spool_identity *identity, uint64_t segment_bytes,
           struct error *err)
{
    struct spool *s = spool_new(directory, identity, segment_bytes);

    if (!directory_make(directory, err))
        goto failed;
    s->dirfd = directory_open_locked(directory, err);
    if (s->dirfd < 0 || !spool_take_over(s, err))
        goto failed;
    if (s->shared.count == 0 && !spool_start_segment(s, err))
        goto failed;
    return s;
failed:
    s->broken = true;
    spool_close(s);
    return NULL;
}

/*
 * First the cut. Then, in one step, the empty segment that makes it a spool of the new timeline. Until then a
 * repeated call finds the old timeline and does the same again.
 */
static bool
fork_at(struct spool *s, lsn_t fork, struct error *err)
{
    uint32_t timeline;

    if (!spool_find(s, &timeline, err))
        return false;
    if (s->shared.count == 0 || timeline == s->identity.timeline)
        return true;
    if (timeline > s->identity.timeline)
        return spool_timeline_error(s, timeline, err);
    return spool_recover(s, fork, err) && spool_start_segment(s, err);
}

bool
spool_fork(const char *directory, const struct spool_identity *identity, lsn_t fork, struct error *err)
{
    struct spool *s;
    bool ok;

    if (!spool_exists(directory))
        return true;
    s = spool_new(directory, identity, 0);
    s->dirfd = directory_open_locked(directory, err);
    ok = s->dirfd >= 0 && fork_at(s, fork, err);
    s->broken = true; /* everything is on disk already */
    spool_close(s);
    return ok;
}

static bool
sync_and_mark(struct spool *s, struct error *err)
{
    return spool_sync(s, err) && segment_mark_synced(s->fd, s->directory, s->number, s->synced, err) &&
           fdatasync(s->fd) == 0;
}

void
spool_close(struct spool *s)
{
    struct error err = {0};

    if (s == NULL)
        return;
    /* What does not reach the disk now was never confirmed, so the server still has it. */
    if (!s->broken)
        sync_and_mark(s, &err);
    error_clear(&err);
    if (s->fd >= 0)
        close(s->fd);
    if (s->dirfd >= 0)
        close(s->dirfd);
    buffer_free(&s->pending);
    definitions_free(&s->definitions);
    record_packer_free(s->packer);
    shared_destroy(&s->shared);
    free(s->directory);
    free(s);
}

lsn_t
spool_end_lsn(const struct spool *s)
{
    return atomic_load(&s->end_lsn);
}

uint64_t
spool_changes(const struct spool *s)
{
    return atomic_load(&s->changes);
}

uint64_t
spool_bytes(const struct spool *s)
{
    return shared_bytes((struct shared_state *)&s->shared); /* locks and unlocks; the spool is not changed */
}

bool
spool_flush(struct spool *s, struct error *err)
{
    return writer_check(s, err) && writer_write(s, err);
}

bool
spool_sync(struct spool *s, struct error *err)
{
    char name[SEGMENT_NAME_SIZE];

    if (!spool_flush(s, err))
        return false;
    if (s->synced == s->written)
        return true;
    if (s->marked != s->synced && !segment_mark_synced(s->fd, s->directory, s->number, s->synced, err))
        return false;
    s->marked = s->synced;
    if (fdatasync(s->fd) != 0) {
        /*
         * The kernel may have dropped the pages and reported the error only once: a second sync could succeed
         * without them.
         */
        s->broken = true;
        return segment_io_error(s->directory, segment_name(s->number, name), "sync", errno, err);
    }
    s->synced = s->written;
    return true;
}

bool
spool_trim(struct spool *s, struct spool_position before, struct error *err)
{
    char name[SEGMENT_NAME_SIZE];
    uint64_t number;

    while (shared_first_before(&s->shared, before.segment, &number)) {
        if (unlinkat(s->dirfd, segment_name(number, name), 0) != 0 && errno != ENOENT)
            return segment_io_error(s->directory, name, "remove", errno, err);
        if (fsync(s->dirfd) != 0) /* one by one, because a crash must not leave a gap */
            return segment_io_error(s->directory, "", "sync directory", errno, err);
        shared_drop_first(&s->shared);
    }
    return true;
}
