/*
 * The spool: the stream's change records at rest on local disk, between the receiver that appends and the
 * apply that reads. A directory of segments; each is a header and a run of records, each record a protobuf
 * message (pgrecast.Change, proto/change.proto) behind its length and XXH3-64 checksum. Format:
 * docs/spool.md.
 *
 * One writer, any number of readers, in different threads of one process; the writer says how far readers may
 * go. A second process is refused as a writer. Durable before acknowledged: what spool_sync() has returned is
 * on disk, and only that may be confirmed to the server. A tail torn by a crash is cut at the last whole
 * transaction when the spool is opened for writing. Damage anywhere else is an error that names file and
 * offset.
 *
 * Memory is bounded but for the largest record, which a reader holds twice while it is read and not longer.
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

struct spool; /* the writer's side, and the shared state */
struct spool_reader;

/* A place between two records. Ordered by (segment, offset). */
struct spool_position {
    uint64_t segment;
    uint64_t offset;
};

/*
 * Open (creating the directory and the first segment where there is none). ERROR_FAILED when the directory
 * belongs to another job or cluster, is in use by another writer, or is damaged. segment_bytes: size after
 * which a new segment starts at the next transaction boundary or, inside a long transaction, a quarter later
 * at the next record.
 */
struct spool *spool_open(const char *directory, const struct spool_identity *identity, uint64_t segment_bytes,
                         struct error *err);

/* Syncs what was appended, as far as that is possible. NULL-safe; no reader may be open. */
void spool_close(struct spool *s);

/*
 * LSN after the last whole transaction in the spool (a Commit's end LSN) or what spool_append_progress() was
 * told last; 0 when it is empty. The stream resumes from here. Thread-safe.
 *
 * Hazard: a spool that was damaged behind its last sync ends before what it once held. Where everything
 * confirmed to the server stood in the spool before, that shows: the slot's confirmed_flush_lsn is then
 * beyond this LSN, and a job must not go on.
 */
lsn_t spool_end_lsn(const struct spool *s);

/*
 * Append a decoded message (BEGIN, COMMIT, RELATION, TYPE, INSERT, UPDATE, DELETE, TRUNCATE, LOGICAL; ORIGIN
 * and IGNORED are not kept). Definitions of relations and types are repeated in each segment that needs them,
 * which takes that they came through this function since the spool was opened. lsn: where the message starts
 * in the log.
 *
 * False: nothing was appended. ENOSPC and other I/O errors: ERROR_FAILED naming the file; the spool stays
 * readable up to the last whole record, and the call may be repeated once there is room. Also refused:
 * messages out of order (a change outside of a transaction, a transaction that commits before
 * spool_end_lsn()).
 */
bool spool_append(struct spool *s, const struct message *m, lsn_t lsn, struct error *err);

/*
 * Append the news that up to lsn there is nothing more (a keepalive while no transaction is open). Readers
 * pass over it; spool_end_lsn() moves. Nothing is written where the spool has got so far already.
 */
bool spool_append_progress(struct spool *s, lsn_t lsn, struct error *err);

/* Hand what was appended to the readers (write(2), no fsync). */
bool spool_flush(struct spool *s, struct error *err);

/* spool_flush() and fsync. After a failed fsync the spool refuses everything until it is opened again. */
bool spool_sync(struct spool *s, struct error *err);

/*
 * Remove whole segments before the position, which stands between two transactions that the job will never
 * read again. Thread-safe against the writer, and against readers that are beyond it.
 */
bool spool_trim(struct spool *s, struct spool_position before, struct error *err);

/* Totals for status; thread-safe. Changes are INSERT, UPDATE, DELETE and TRUNCATE. */
uint64_t spool_bytes(const struct spool *s);   /* on disk now */
uint64_t spool_changes(const struct spool *s); /* appended since it was opened */

/* True when there is a spool in the directory: at least one segment. */
bool spool_exists(const char *directory);

/*
 * After a failover: the server has gone on from fork on another timeline, and what the spool holds beyond it
 * has never happened. Removes all transactions that end after fork, and what is not whole, and makes the rest
 * a spool of identity (which differs from the one it was made for by a higher timeline only). Before
 * spool_open(); a crash in between may be followed by the same call. Does nothing where there is no spool or
 * where it is of that timeline already. ERROR_FAILED when the directory belongs to another job or cluster, is
 * of a higher timeline, in use, or damaged.
 *
 * Where all that is left of the spool was beyond fork, it is empty afterwards, and ends at fork.
 */
bool spool_fork(const char *directory, const struct spool_identity *identity, lsn_t fork, struct error *err);

/*
 * Remove the whole directory of a job that has ended; true when there is none. Refuses a directory with files
 * that are not a spool's, and one in use.
 */
bool spool_remove(const char *directory, struct error *err);

/*
 * A reader from the first record whose transaction ends after the LSN (0: from the first whole transaction).
 * The LSN may be beyond spool_end_lsn(): what is appended later and ends up to there is passed over too.
 * ERROR_FAILED when that record was trimmed.
 */
struct spool_reader *spool_reader_open(struct spool *s, lsn_t after, struct error *err);

/* The same over a directory without looking at a writer (decode): ends where the files end. */
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

/*
 * The next record. After a reader was opened or has sought, the definitions that hold at that place come
 * first, each with that place as its position and next.
 */
enum spool_outcome spool_read(struct spool_reader *r, struct spool_record *out, struct error *err);

/* Go back (or forward) to a position this reader has returned before. */
bool spool_seek(struct spool_reader *r, struct spool_position position, struct error *err);

/* What is before it will not be read any more, but by spool_seek(). */
struct spool_position spool_reader_position(const struct spool_reader *r);

/*
 * Every transaction that ends at or before this is behind the reader: the last commit or news of progress
 * that it has read since it was opened or has sought; 0 before the first. (spool_end_lsn() may be ahead of
 * what readers can see, so an empty read does not tell that everything up to there was read.)
 */
lsn_t spool_reader_lsn(const struct spool_reader *r);
void spool_reader_close(struct spool_reader *r); /* NULL-safe */

/*
 * Wait until there is more to read than the reader has read, at most ms milliseconds. True when there is (it
 * may be nothing that spool_read() returns).
 */
bool spool_wait(struct spool *s, const struct spool_reader *r, int ms);

#endif
