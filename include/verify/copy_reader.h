/*
 * A reader of PostgreSQL's binary COPY (manual: COPY, File Formats, Binary Format; server:
 * src/backend/commands/copyto.c):
 *
 *   stream    = signature flags extension *tuple trailer
 *   signature = "PGCOPY\n\377\r\n\0"
 *   flags     = int32                     ; bits 16 to 31 are critical: none is known, any is refused
 *   extension = int32 length, bytes       ; skipped, at most 64 kB
 *   tuple     = int16 count *field        ; 0 to 1664 fields
 *   field     = int32 length, bytes       ; length -1 is NULL, at most 1 GB
 *   trailer   = int16 -1
 *
 * The server sends one tuple in each CopyData message, but nothing says that it must: any split is accepted.
 * A tuple
 * that is complete in one message is passed on in place, without a copy.
 *
 * Refuses: anything else, bytes after the trailer, and an end without the trailer. Pure: takes no connection.
 */
#ifndef PGRECAST_VERIFY_COPY_READER_H
#define PGRECAST_VERIFY_COPY_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/error.h"

/* Takes one tuple, from its field count to the end of its last field. False, with err set, ends the reading.
 */
typedef bool (*copy_tuple)(void *arg, const void *tuple, size_t len, struct error *err);

enum copy_state { COPY_HEADER, COPY_TUPLES, COPY_ENDED };

struct copy_reader {
    copy_tuple tuple;
    void *arg;
    enum copy_state state;
    int64_t tuples;        /* tuples passed on so far */
    struct buffer pending; /* the beginning of a tuple that is not complete yet */
    size_t scanned;        /* bytes of the current tuple whose fields are known to be complete */
    /* Fields of the current tuple that are still to come; -1: their count is not read yet. */
    int fields_left;
};

void copy_reader_init(struct copy_reader *r, copy_tuple tuple, void *arg);

/* The next bytes of the stream. Can be used as a session_copy_row; arg is the struct copy_reader. */
bool copy_reader_feed(void *arg, const char *data, size_t len, struct error *err);

/* To be called at the end: false when the stream is not complete. */
bool copy_reader_end(const struct copy_reader *r, struct error *err);
void copy_reader_free(struct copy_reader *r);

#endif
