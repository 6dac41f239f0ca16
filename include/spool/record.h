/*
 * Change records: convert a decoded message to a protobuf message (pgrecast.Change, proto/change.proto) and
 * back. The same bytes are the payload of the spool's records and, after their length, the output of
 * `pgrecast decode`.
 *
 * Refuses: ORIGIN and IGNORED messages (they have no record), and bytes that are not a valid change, whoever
 * wrote them.
 */
#ifndef PGRECAST_SPOOL_RECORD_H
#define PGRECAST_SPOOL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/lsn.h"
#include "decode/message.h"

struct record_packer;
struct record_unpacker;

struct record_packer *record_packer_new(void);
void record_packer_free(struct record_packer *p); /* NULL-safe */

/* True when messages of this kind have a record. */
bool record_has_form(enum message_kind kind);

/*
 * A record is packed in two steps, so that the caller can provide exactly the room that it needs.
 * record_prepare() returns the packed size and keeps pointers into the message. Then one of the two write
 * functions is called. The message must not change until then.
 */
size_t record_prepare(struct record_packer *p, const struct message *m, lsn_t lsn);
size_t record_prepare_progress(struct record_packer *p, lsn_t lsn);

/* Write the prepared record to out, which must have room for the size returned. */
void record_write(struct record_packer *p, void *out);

/*
 * Write the prepared record in pieces, in order and without a copy: for records too large to be held twice.
 */
void record_stream(struct record_packer *p, void (*piece)(void *context, const void *data, size_t len),
                   void *context);

/* Append a record after its length as a varint: protobuf's length-delimited form. */
void record_add_delimited(struct record_packer *p, const struct message *m, lsn_t lsn, struct buffer *out);

struct record_unpacker *record_unpacker_new(void);
void record_unpacker_free(struct record_unpacker *u); /* NULL-safe */

enum record_outcome {
    RECORD_CHANGE,   /* *message and *lsn are set */
    RECORD_PROGRESS, /* only *lsn is set */
    RECORD_BAD,      /* *why says what is wrong */
};

/* The message is valid in the unpacker's memory until the next call. */
enum record_outcome record_unpack(struct record_unpacker *u, const void *data, size_t len,
                                  struct message *message, lsn_t *lsn, const char **why);

/* Free the memory that the last record needed beyond the usual amount. The message becomes invalid. */
void record_unpacker_reset(struct record_unpacker *u);

#endif
