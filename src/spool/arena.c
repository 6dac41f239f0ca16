#include "arena.h"

#include <stdalign.h>
#include <stdlib.h>

#include "core/mem.h"

#define BLOCK_SIZE ((size_t)256 * 1024)

struct arena_extra {
    struct arena_extra *next;
    alignas(max_align_t) char bytes[];
};

static void *
extra_alloc(struct arena *a, size_t size)
{
    struct arena_extra *extra = mem_realloc(NULL, sizeof(*extra) + size);

    extra->next = a->extras;
    a->extras = extra;
    return extra->bytes;
}

void *
arena_alloc(struct arena *a, size_t size)
{
    size_t step = alignof(max_align_t);
    size_t rounded = (size + step - 1) / step * step;
    void *at;

    if (a->block == NULL)
        a->block = mem_realloc(NULL, BLOCK_SIZE);
    if (rounded > BLOCK_SIZE - a->used)
        return extra_alloc(a, rounded);
    at = a->block + a->used;
    a->used += rounded;
    return at;
}

void
arena_reset(struct arena *a)
{
    while (a->extras != NULL) {
        struct arena_extra *next = a->extras->next;

        free(a->extras);
        a->extras = next;
    }
    a->used = 0;
}

void
arena_free(struct arena *a)
{
    arena_reset(a);
    free(a->block);
    a->block = NULL;
}

static void *
allocator_alloc(void *data, size_t size)
{
    return arena_alloc(data, size);
}

static void
allocator_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

ProtobufCAllocator
arena_allocator(struct arena *a)
{
    ProtobufCAllocator allocator = {.alloc = allocator_alloc, .free = allocator_free, .allocator_data = a};

    return allocator;
}
