/*
 * The spool: the stream's change records on local disk, between the receiver, which appends, and the applies,
 * which read. It is a directory of segments. A segment is a header and a sequence of records. A record is a
 * protobuf message (pgrecast.Change, proto/change.proto) after its length and its XXH3-64 checksum. Format:
 * docs/spool.md.
 *
 * There is one writer and any number of readers, in different threads of one process. The writer says up to
 * where the
 * readers may read. A second process is refused as a writer. Records are durable before they are
 * acknowledged: what
 * spool_sync() has completed is on disk, and only that may be confirmed to the server. When the spool is
 * opened for
 * writing, a tail torn by a crash is cut off after the last complete transaction. Damage anywhere else is an
 * error that
 * names file and offset.
 *
 * Memory is bounded except for the largest record, which a reader holds twice while it reads that record.
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
    uint32_t database; /* oid of the database; 0: not known, because an earlier version made the spool */
    uint32_t encoding; /* encoding of the database: encoding_number() of core/encoding.h */
    char job[64];      /* at most 59 bytes */
    char slot[64];
};

struct spool; /* the writer's side, and the state shared with the readers */
struct spool_reader;

/* A position between two records. Ordered by (segment, offset). */
struct spool_position {
    uint64_t segment;
    uint64_t offset;
};

/*
 * Open a spool; create the directory and the first segment where there are none. ERROR_FAILED when the
 * directory belongs to another job or cluster, is in use by another writer, or is damaged. segment_bytes:
 * size after which a new segment begins at the next transaction boundary. Inside a long transaction it begins
 * at the next record after a quarter more.
 */
struct spool *spool_open(const char *directory, const struct spool_identity *identity, uint64_t segment_bytes,
                         struct error *err);

/* Syncs what was appended, as far as possible. NULL-safe; no reader may be open. */
void spool_close(struct spool *s);

/*
 * The LSN after the last complete transaction in the spool (the end LSN of a Commit), or the last one given
 * to spool_append_progress(); 0 when the spool is empty. The stream resumes from here. Thread-safe.
 *
 * Hazard: a spool that was damaged after its last sync ends before what it once held. This can be detected
 * where everything
 * confirmed to the server was in the spool before: then the slot's confirmed_flush_lsn is beyond this LSN,
 * and the job
 * must not continue.
 */
lsn_t spool_end_lsn(const struct spool *s);

/*
 * Append a decoded message (BEGIN, COMMIT, RELATION, TYPE, INSERT, UPDATE, DELETE, TRUNCATE, LOGICAL; ORIGIN
 * and IGNORED are not kept). Definitions of relations and types are repeated in each segment that needs them.
 * For this they must have been appended with this function since the spool was opened. lsn: position in the
 * log at which the message begins.
 *
 * False: nothing was appended. ENOSPC and other I/O errors: ERROR_FAILED naming the file; the spool stays
 * readable up to the last whole record, and the call may be repeated once there is room. Also refused:
 * messages out of order (a change outside of a transaction, a transaction that commits before
 * spool_end_lsn()).
 */
bool spool_append(struct spool *s, const struct message *m, lsn_t lsn, struct error *err);

/*
 * Append a record that says that up to lsn there are no more changes (from a keepalive while no transaction
 * is open). Readers pass over it; spool_end_lsn() moves. Nothing is written where the spool has reached lsn
 * already.
 */
bool spool_append_progress(struct spool *s, lsn_t lsn, struct error *err);

/* Make what was appended visible to the readers (write(2), no fsync). */
bool spool_flush(struct spool *s, struct error *err);

/* spool_flush() and fsync. After a failed fsync the spool refuses every call until it is opened again. */
bool spool_sync(struct spool *s, struct error *err);

/*
 * Remove whole segments before the position. It must be between two transactions, and the job must not read
 * what is before it again. Thread-safe against the writer, and against readers that are beyond it.
 */
bool spool_trim(struct spool *s, struct spool_position before, struct error *err);

/* Totals for status; thread-safe. Changes are INSERT, UPDATE, DELETE and TRUNCATE. */
uint64_t spool_bytes(const struct spool *s);   /* bytes on disk now */
uint64_t spool_changes(const struct spool *s); /* changes appended since the spool was opened */

/*
 * Whether a job may make its directory in this one, whose path is absolute and which need not exist: ERROR_REFUSED if it,
 * or the link that leads to it, belongs to another user than this one and root, or if every user can replace what is in
 * it or in a directory above it.
 */
bool spool_check_place(const char *directory, struct error *err);

/* The same for a directory that only this program makes: it belongs to this user, and is no link. */
bool spool_check_own(const char *directory, struct error *err);

/* True when there is a spool in the directory: at least one segment. */
bool spool_exists(const char *directory);

/*
 * Reads the identity of the spool in the directory from its last segment, and a position that its stream has
 * reached. *any: false where the directory has no segment. ERROR_FAILED when the spool cannot be read or is
 * damaged.
 */
bool spool_read_identity(const char *directory, struct spool_identity *out, lsn_t *reached, bool *any,
                         struct error *err);

/*
 * To be called after a failover, before spool_open(). The server has continued from fork on another timeline,
 * and what the spool holds beyond fork has never happened. Removes all transactions that end after fork, and
 * incomplete ones, and makes the rest a spool of identity (which differs from the spool's own only by a
 * higher timeline). After a crash in between, call it again. Does nothing where there is no spool or where it
 * is of that timeline already. ERROR_FAILED when the directory belongs to another job or cluster, is of a
 * higher timeline, in use, or damaged.
 *
 * Where the whole rest of the spool is beyond fork, the spool is empty afterwards, and ends at fork.
 */
bool spool_fork(const char *directory, const struct spool_identity *identity, lsn_t fork, struct error *err);

/* True when a process has locked the directory as a writer. */
bool spool_in_use(const char *directory);

/*
 * Remove the whole directory of a job that has ended; also true when it does not exist. Refuses a directory
 * with files that are not a spool's, and one in use.
 */
bool spool_remove(const char *directory, struct error *err);

/*
 * A reader from the first record whose transaction ends after the LSN (0: from the first complete
 * transaction). The LSN may be beyond spool_end_lsn(): then transactions that are appended later and end at
 * or before it are passed over too. ERROR_FAILED when that record was trimmed.
 */
struct spool_reader *spool_reader_open(struct spool *s, lsn_t after, struct error *err);

/* The same over a directory, without a writer (decode): it ends where the files end. */
struct spool_reader *spool_reader_open_directory(const char *directory, struct error *err);

/* The encoding of names and values in the segment that is read now (core/encoding.h). */
const char *spool_reader_encoding(const struct spool_reader *r);

enum spool_outcome {
    SPOOL_RECORD, /* *out is set; it is valid until the next call */
    SPOOL_EMPTY,  /* no more records now; try again after spool_wait() */
    SPOOL_ERROR,
};

struct spool_record {
    struct message message; /* relation names, columns and values point into the reader's memory */
    lsn_t lsn;
    struct spool_position position; /* of this record */
    struct spool_position next;
};

/*
 * Read the next record. After a reader was opened or has sought, the definitions that are valid at that
 * position come first, each with that position as its own and as its next.
 */
enum spool_outcome spool_read(struct spool_reader *r, struct spool_record *out, struct error *err);

/* Move to a position that this reader has returned before. */
bool spool_seek(struct spool_reader *r, struct spool_position position, struct error *err);

/* Records before it will not be read any more, except after spool_seek(). */
struct spool_position spool_reader_position(const struct spool_reader *r);

/*
 * Every transaction that ends at or before this LSN has been read or passed: it is that of the last commit or
 * progress record since the reader was opened or has sought; 0 before the first. (spool_end_lsn() may be
 * ahead of what readers can see, so an empty read does not prove that everything up to there was read.)
 */
lsn_t spool_reader_lsn(const struct spool_reader *r);
void spool_reader_close(struct spool_reader *r); /* NULL-safe */

/*
 * Wait until there is more to read than the reader has read, at most ms milliseconds. True when there is (it
 * may be nothing that spool_read() returns).
 */
bool spool_wait(struct spool *s, const struct spool_reader *r, int ms);

#endif
