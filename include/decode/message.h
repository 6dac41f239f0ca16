/*
 * pgoutput's messages, protocol version 1, decoded strictly: PostgreSQL manual, "Logical Replication Message
 * Formats" (protocol-logicalrep-message-formats), and src/backend/replication/logical/proto.c.
 *
 * Bytes from the server are treated as hostile. Every length is checked, an unknown message or field value is
 * an error, and the end of each message is checked. Strings and values point into the input: they are valid
 * as
 * long as it.
 */
#ifndef PGRECAST_DECODE_MESSAGE_H
#define PGRECAST_DECODE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/lsn.h"

enum message_kind {
    MESSAGE_BEGIN,
    MESSAGE_COMMIT,
    MESSAGE_ORIGIN,
    MESSAGE_RELATION,
    MESSAGE_TYPE,
    MESSAGE_INSERT,
    MESSAGE_UPDATE,
    MESSAGE_DELETE,
    MESSAGE_TRUNCATE,
    MESSAGE_LOGICAL, /* pg_logical_emit_message */
    MESSAGE_IGNORED, /* a known message that has no meaning here (a stray STREAM ABORT of 18) */
};

enum value_kind {
    VALUE_NULL = 'n',
    /*
     * A TOASTed value that the update did not change: it is not sent, and the old row does not have it
     * either.
     */
    VALUE_UNCHANGED = 'u',
    VALUE_TEXT = 't',
    VALUE_BINARY = 'b',
};

struct value {
    enum value_kind kind;
    const char *data; /* not terminated */
    uint32_t len;
};

struct tuple {
    uint16_t count;
    struct value *values; /* owned by the decoder; valid until the next message */
};

struct relation_column {
    bool key; /* the column is part of the replica identity */
    const char *name;
    uint32_t type_oid;
    int32_t typmod;
};

struct message {
    enum message_kind kind;
    union {
        struct {
            lsn_t final_lsn;     /* LSN of the commit record */
            int64_t commit_time; /* microseconds since 2000-01-01 */
            uint32_t xid;        /* of the top-level transaction */
        } begin;
        struct {
            lsn_t commit_lsn;
            lsn_t end_lsn; /* position from which to resume */
            int64_t commit_time;
        } commit;
        struct {
            lsn_t lsn;
            const char *name;
        } origin;
        struct {
            uint32_t oid;
            const char *schema; /* "" means pg_catalog */
            const char *name;
            char replica_identity; /* d, n, f or i */
            uint16_t column_count;
            struct relation_column *columns; /* owned by the decoder */
        } relation;
        struct {
            uint32_t oid;
            const char *schema;
            const char *name;
        } type;
        struct {
            uint32_t relation; /* oid */
            bool has_old;      /* the old row has the key columns ('K') or all columns ('O') */
            bool old_is_full;
            struct tuple old_row;
            struct tuple new_row; /* for insert and update */
        } row;
        struct {
            uint32_t relation_count;
            const unsigned char *relations; /* relation_count oids in network byte order */
            bool cascade;
            bool restart_identity;
        } truncate;
        struct {
            bool transactional;
            lsn_t lsn;
            const char *prefix;
            const char *content;
            uint32_t len;
        } logical;
    };
};

struct decoder; /* holds the arrays of the last message */

struct decoder *decoder_new(void);
void decoder_free(struct decoder *d);

/*
 * Decode one message: the payload of an XLogData message. False if any part of it is not understood:
 * ERROR_FAILED with the offset and the kind of message.
 */
bool decoder_decode(struct decoder *d, const void *data, size_t len, struct message *out, struct error *err);

/* The oid at index i of a TRUNCATE message. */
uint32_t message_truncate_relation(const struct message *m, uint32_t i);

/*
 * The plugin options of START_REPLICATION for a server's major version, e.g. "proto_version '1',
 * publication_names '…', messages 'true', origin 'none'". publication is quoted here. any_origin: also
 * changes that came by replication (16+: origin 'any'). The caller frees the text.
 */
char *pgoutput_options(int major, const char *publication, bool any_origin);

#endif
