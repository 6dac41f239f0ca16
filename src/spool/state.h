/*
 * The spool in memory: what its writer owns, and what it shares with the readers. Private to src/spool.
 */
#ifndef PGRECAST_SPOOL_STATE_H
#define PGRECAST_SPOOL_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "definitions.h"
#include "segment.h"
#include "spool/record.h"
#include "spool/spool.h"

/* What readers know of a segment. */
struct segment_info {
    lsn_t first_lsn;
    lsn_t committed;
    struct spool_position open;
    uint64_t published; /* readers may go up to here; the whole file for all but the last */
};

/* Segments are numbered without gaps from .first on. */
struct shared_state {
    pthread_mutex_t lock;
    pthread_cond_t grown; /* on CLOCK_MONOTONIC */
    struct segment_info *segments;
    uint64_t first;
    size_t count;
    size_t room;
    _Atomic uint64_t
        open_segment; /* where the writer's open transaction begins, 0: none; not under the lock */
};

struct spool {
    char *directory;
    int dirfd; /* locked for as long as it is open */
    struct spool_identity identity;
    uint64_t segment_bytes;
    struct shared_state shared;
    _Atomic lsn_t end_lsn;
    _Atomic uint64_t changes;

    /* The writer's own. */
    int fd; /* of the last segment */
    uint64_t number;
    uint64_t written;      /* bytes of it in the file, whole frames */
    uint64_t synced;       /* bytes of it on disk */
    uint64_t marked;       /* and noted so in its header */
    struct buffer pending; /* whole frames that come next */
    uint64_t sequence;     /* of the next record */
    lsn_t committed;       /* end of the last transaction */
    bool in_transaction;
    struct spool_position begin; /* of the open transaction */
    lsn_t final_lsn;             /* its commit's, as its BEGIN said */
    bool broken;                 /* what is on disk is not known any more: only opening it again helps */
    struct record_packer *packer;
    struct definitions definitions;
};

/*
 * Read the headers of all segments of the directory into *s. timeline: of the last one, which is that of the
 * spool; 0 where there is none.
 */
bool spool_find(struct spool *s, uint32_t *timeline, struct error *err);
bool spool_timeline_error(const struct spool *s, uint32_t timeline, struct error *err);

/*
 * Then cut a torn tail and what ends after the fork (UINT64_MAX: none), and leave the last segment open for
 * writing at the end of the last transaction that stays. Where no segment is left, .shared.count is 0.
 */
bool spool_recover(struct spool *s, lsn_t fork, struct error *err);

/* Make the segment after the last one, and write to that from now on. The old one must be synced. */
bool spool_start_segment(struct spool *s, struct error *err);

/* The frames that are pending to the file, and the readers told. On failure those that did not fit stay
 * pending, so that the caller can make room and try again. */
bool writer_write(struct spool *s, struct error *err);

/* False once the spool is broken. */
bool writer_check(const struct spool *s, struct error *err);

void shared_init(struct shared_state *shared);
void shared_destroy(struct shared_state *shared);
void shared_add_segment(struct shared_state *shared, uint64_t number, const struct segment_info *info);
void shared_publish(struct shared_state *shared, uint64_t published); /* in the last segment */

/* False: no such segment (any more). *is_last: more may be published in it. */
bool shared_segment(struct shared_state *shared, uint64_t number, struct segment_info *info, bool *is_last);

/* The first segment, where that can be trimmed: before the limit, and of no use to the writer. */
bool shared_first_before(struct shared_state *shared, uint64_t limit, uint64_t *number);
void shared_drop_first(struct shared_state *shared);
uint64_t shared_bytes(struct shared_state *shared);

#endif
