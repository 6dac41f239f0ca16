/*
 * Segment files of the spool: names, headers, the directory. frame.h describes what follows the header.
 * docs/spool.md describes the whole format as a grammar and must be changed together with these two.
 *
 * Functions that can fail return false or -1 and name the file in the error.
 */
#ifndef PGRECAST_SPOOL_SEGMENT_H
#define PGRECAST_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/lsn.h"
#include "spool/spool.h"

#define SEGMENT_FORMAT_VERSION 1
#define SEGMENT_HEADER_SIZE 1024
#define SEGMENT_NAME_SIZE 32

struct segment_header {
    struct spool_identity identity;
    uint64_t number;   /* 1 for the first of a spool */
    uint64_t sequence; /* of its first record; records count from 1 through all segments */
    lsn_t first_lsn;   /* every transaction that ends in this segment ends after this */
    lsn_t committed;   /* end of the last transaction before this segment */
    /* Beginning of the transaction that is open at this segment's start; segment 0: none. */
    struct spool_position open;
    uint64_t synced; /* at least this many bytes of the file are known to be on disk */
};

/* "0000000000000001.spool" */
char *segment_name(uint64_t number, char out[SEGMENT_NAME_SIZE]);

/*
 * The numbers of the segments in a directory, in order; the caller frees them. When clean is set, remains of
 * a segment that was being made during a crash are removed. foreign: a name that is not a spool's, or NULL;
 * the caller frees it.
 */
bool segment_list(int dirfd, const char *directory, bool clean, uint64_t **numbers, size_t *count,
                  char **foreign, struct error *err);

/* Create a segment, complete and durable or not at all. Returns the open file. */
int segment_create(int dirfd, const char *directory, const struct segment_header *header, struct error *err);

/* Open with O_RDONLY or O_RDWR, and read the header. Returns the open file. */
int segment_open(int dirfd, const char *directory, uint64_t number, int flags, struct segment_header *header,
                 struct error *err);

/* Write the mark that so many bytes are on disk. The mark itself is on disk only after the next sync. */
bool segment_mark_synced(int fd, const char *directory, uint64_t number, uint64_t synced, struct error *err);

/* "cannot WHAT "directory/name": …", with a hint where the disk is full. name may be "". */
bool segment_io_error(const char *directory, const char *name, const char *what, int error_number,
                      struct error *err);
bool segment_damage(const char *directory, uint64_t number, uint64_t offset, const char *why,
                    struct error *err);

#endif
