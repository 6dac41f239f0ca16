/*
 * The spool in memory: what its writer owns, and what the writer shares with the readers. Private to
 * src/spool.
 */
#ifndef PGRECAST_SPOOL_STATE_H
#define PGRECAST_SPOOL_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "definitions.h"
#include "segment.h"
#include "spool/record.h"
#include "spool/spool.h"

/* What readers know about a segment. */
struct segment_info {
    lsn_t first_lsn;
    lsn_t committed;
    struct spool_position open;
    uint64_t published; /* readers may read up to here; for all segments but the last it is the whole file */
};

/* The segments are numbered without gaps, beginning with .first. */
struct shared_state {
    pthread_mutex_t lock;
    pthread_cond_t grown; /* uses CLOCK_MONOTONIC */
    struct segment_info *segments;
    uint64_t first;
    size_t count;
    size_t room;
    /* Segment in which the writer's open transaction begins, 0: none; not protected by the lock. */
    _Atomic uint64_t open_segment;
};

struct spool {
    char *directory;
    int dirfd; /* locked while the spool is open */
    struct spool_identity identity;
    uint64_t segment_bytes;
    struct shared_state shared;
    _Atomic lsn_t end_lsn;
    _Atomic uint64_t changes;

    /* Used by the writer only. */
    int fd; /* the last segment */
    uint64_t number;
    uint64_t written;      /* bytes of it that are in the file, as complete frames */
    uint64_t synced;       /* bytes of it that are on disk */
    uint64_t marked;       /* bytes of it that its header marks as on disk */
    struct buffer pending; /* complete frames that will be written next */
    uint64_t sequence;     /* of the next record */
    lsn_t committed;       /* end of the last transaction */
    bool in_transaction;
    struct spool_position begin; /* beginning of the open transaction */
    lsn_t final_lsn;             /* LSN of its commit, from its BEGIN */
    /* It is not known any more what is on disk; the spool must be opened again. */
    bool broken;
    struct record_packer *packer;
    struct definitions definitions;
};

/*
 * Read the headers of all segments of the directory into *s. timeline: that of the last segment, which is the
 * spool's; 0 where there is none.
 */
bool spool_find(struct spool *s, uint32_t *timeline, struct error *err);
bool spool_timeline_error(const struct spool *s, uint32_t timeline, struct error *err);

/*
 * To be called next: cuts off a torn tail and the transactions that end after the fork (UINT64_MAX: none),
 * and leaves the last segment open for writing after the last transaction that is kept. Where no segment is
 * left, .shared.count is 0.
 */
bool spool_recover(struct spool *s, lsn_t fork, struct error *err);

/* Create the segment after the last one, and write to it from now on. The old one must be synced. */
bool spool_start_segment(struct spool *s, struct error *err);

/*
 * Write the pending frames to the file, and wake the readers. On failure the frames that did not fit stay
 * pending, so that the caller can make room and try again.
 */
bool writer_write(struct spool *s, struct error *err);

/* False when the spool is broken. */
bool writer_check(const struct spool *s, struct error *err);

void shared_init(struct shared_state *shared);
void shared_destroy(struct shared_state *shared);
void shared_add_segment(struct shared_state *shared, uint64_t number, const struct segment_info *info);
void shared_publish(struct shared_state *shared, uint64_t published); /* position in the last segment */

/* False: there is no such segment (any more). *is_last: more may be written to it. */
bool shared_segment(struct shared_state *shared, uint64_t number, struct segment_info *info, bool *is_last);

/* The first segment, if it can be trimmed: it is before the limit, and the writer does not need it. */
bool shared_first_before(struct shared_state *shared, uint64_t limit, uint64_t *number);
void shared_drop_first(struct shared_state *shared);
uint64_t shared_bytes(struct shared_state *shared);

#endif
