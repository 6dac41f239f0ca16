/*
 * Memory that is freed all at once: protobuf-c unpacks a record into it, and the next record overwrites it.
 * One block is kept until the end. What a large record needs beyond it is freed at the reset.
 *
 * Zero-initialise; release with arena_free(). Not for several threads.
 */
#ifndef PGRECAST_SPOOL_ARENA_H
#define PGRECAST_SPOOL_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

struct arena_extra;

struct arena {
    char *block;
    size_t used;
    struct arena_extra *extras; /* newest first */
};

/* Aligned for any type, not zeroed; never NULL. */
void *arena_alloc(struct arena *a, size_t size);
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

/* An allocator for protobuf-c. It is valid as long as the arena is not moved. Its free does nothing. */
ProtobufCAllocator arena_allocator(struct arena *a);

#endif
