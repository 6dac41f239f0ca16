/*
 * The spool: the stream's change records at rest on local disk, between the receiver that appends and the apply that
 * reads. A directory of segments; each is a header and a run of records, each record a protobuf message (pgrecast.Change,
 * proto/change.proto) behind its length and XXH3-64 checksum. Format: docs/spool.md.
 *
 * One writer, any number of readers, in different threads of one process; the writer says how far readers may go.
 * Durable before acknowledged: what spool_sync() has returned is on disk, and only that may be confirmed to the server.
 * A tail torn by a crash is cut at the last whole transaction when the spool is opened for writing. Damage anywhere else is an error.
 */
#ifndef PGRECAST_SPOOL_SPOOL_H
#define PGRECAST_SPOOL_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/lsn.h"
#include "decode/message.h"

struct spool_identity {
    uint64_t system_identifier;
    uint32_t timeline;
    char job[64];
    char slot[64];
};

struct spool;        /* the writer's side, and the shared state */
struct spool_reader;

/* A place between two records. Ordered by (segment, offset). */
struct spool_position {
    uint64_t segment;
    uint64_t offset;
};

/*
 * Open (creating the directory and the first segment where there is none). ERROR_FAILED when the directory belongs to
 * another job or cluster, or is damaged. segment_bytes: size after which a new segment starts at the next transaction
 * boundary or, inside a long transaction, at the next record.
 */
struct spool *spool_open(const char *directory, const struct spool_identity *identity, uint64_t segment_bytes,
                         struct error *err);
void spool_close(struct spool *s);

/* LSN after the last whole transaction in the spool (a Commit's end LSN), 0 when it is empty. */
lsn_t spool_end_lsn(const struct spool *s);

/*
 * Append a decoded message (BEGIN, COMMIT, RELATION, TYPE, INSERT, UPDATE, DELETE, TRUNCATE, LOGICAL). Relations are
 * repeated at the head of a segment that needs them. lsn: where the message starts in the log.
 * ENOSPC and other I/O errors: ERROR_FAILED naming the file; the spool stays readable up to the last whole record.
 */
bool spool_append(struct spool *s, const struct message *m, lsn_t lsn, struct error *err);

/* Hand what was appended to the readers (write(2), no fsync). */
bool spool_flush(struct spool *s, struct error *err);

/* spool_flush() and fsync. */
bool spool_sync(struct spool *s, struct error *err);

/* Remove whole segments before the position. Safe while readers are beyond it. */
bool spool_trim(struct spool *s, struct spool_position before, struct error *err);

/* Totals for status; thread-safe. */
uint64_t spool_bytes(const struct spool *s);   /* on disk now */
uint64_t spool_changes(const struct spool *s); /* row changes appended since it was opened */

/* Remove the whole directory of a job that has ended. Refuses a directory with files that are not a spool's. */
bool spool_remove(const char *directory, struct error *err);

/* A reader from the first record whose transaction ends after the LSN (0: from the start). */
struct spool_reader *spool_reader_open(struct spool *s, lsn_t after, struct error *err);

/* The same over a directory without a writer (decode): ends where the files end. */
struct spool_reader *spool_reader_open_directory(const char *directory, struct error *err);

enum spool_outcome {
    SPOOL_RECORD, /* *out is filled; it lives until the next call */
    SPOOL_EMPTY,  /* nothing more now; try again after spool_wait() */
    SPOOL_ERROR,
};

struct spool_record {
    struct message message; /* relation names, columns and values point into the reader's memory */
    lsn_t lsn;
    struct spool_position position; /* of this record */
    struct spool_position next;
};

enum spool_outcome spool_read(struct spool_reader *r, struct spool_record *out, struct error *err);

/* Go back (or forward) to a position this reader has returned before. */
bool spool_seek(struct spool_reader *r, struct spool_position position, struct error *err);
struct spool_position spool_reader_position(const struct spool_reader *r);
void spool_reader_close(struct spool_reader *r);

/* Wait until there is more to read than the reader has read, at most ms milliseconds. True when there is. */
bool spool_wait(struct spool *s, const struct spool_reader *r, int ms);

#endif
