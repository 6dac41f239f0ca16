/*
 * What is needed to understand the rows of a segment: the relations and types that the server has described
 * in this session. They are kept as packed records, so that each segment can hold those it needs.
 */
#ifndef PGRECAST_SPOOL_DEFINITIONS_H
#define PGRECAST_SPOOL_DEFINITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "decode/message.h"

struct definition {
    bool is_relation; /* false: a type. Relations and types have separate oid spaces */
    uint32_t oid;
    uint64_t segment;     /* the last segment to which it was written */
    struct buffer record; /* the packed pgrecast.Change */
    uint32_t *types;      /* the types of a relation's columns */
    size_t type_count;
};

/* Sorted by (is_relation, oid). Zero-initialise; release with definitions_free(). */
struct definitions {
    struct definition *items;
    size_t count;
    size_t room;
    size_t last; /* index of the definition found last */
};

/* NULL where there is none. Valid until the next definitions_put(). */
struct definition *definitions_find(struct definitions *all, bool is_relation, uint32_t oid);

/* Add or replace the definition in a RELATION or TYPE message. The caller fills .record. */
struct definition *definitions_put(struct definitions *all, const struct message *m);

void definitions_free(struct definitions *all);

#endif
