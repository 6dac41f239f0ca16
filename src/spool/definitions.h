/*
 * What the rows of a segment need to be understood: the relations and types the server has described in this
 * session, kept as packed records, so that each segment can hold those it needs.
 */
#ifndef PGRECAST_SPOOL_DEFINITIONS_H
#define PGRECAST_SPOOL_DEFINITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "decode/message.h"

struct definition {
    bool is_relation; /* a type otherwise; their oids are two spaces */
    uint32_t oid;
    uint64_t segment;     /* the last one it was written to */
    struct buffer record; /* the packed pgrecast.Change */
    uint32_t *types;      /* of the columns of a relation */
    size_t type_count;
};

/* Sorted by (is_relation, oid). Zero-initialise; release with definitions_free(). */
struct definitions {
    struct definition *items;
    size_t count;
    size_t room;
    size_t last; /* found last */
};

/* NULL where there is none. Valid until the next definitions_put(). */
struct definition *definitions_find(struct definitions *all, bool is_relation, uint32_t oid);

/* Add or replace the definition a RELATION or TYPE message holds. The caller fills .record. */
struct definition *definitions_put(struct definitions *all, const struct message *m);

void definitions_free(struct definitions *all);

#endif
