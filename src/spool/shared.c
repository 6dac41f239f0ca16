#include "state.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/mem.h"

void
shared_init(struct shared_state *shared)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&shared->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&shared->grown, &attributes);
    pthread_condattr_destroy(&attributes);
}

void
shared_destroy(struct shared_state *shared)
{
    pthread_cond_destroy(&shared->grown);
    pthread_mutex_destroy(&shared->lock);
    free(shared->segments);
}

void
shared_add_segment(struct shared_state *shared, uint64_t number, const struct segment_info *info)
{
    pthread_mutex_lock(&shared->lock);
    if (shared->count == shared->room) {
        shared->room = shared->room > 0 ? shared->room * 2 : 16;
        shared->segments = mem_array(shared->segments, shared->room, sizeof(*shared->segments));
    }
    if (shared->count == 0)
        shared->first = number;
    shared->segments[shared->count++] = *info;
    pthread_cond_broadcast(&shared->grown);
    pthread_mutex_unlock(&shared->lock);
}

bool
shared_segment(struct shared_state *shared, uint64_t number, struct segment_info *info, bool *is_last)
{
    bool found;

    pthread_mutex_lock(&shared->lock);
    found = number >= shared->first && number - shared->first < shared->count;
    if (found) {
        *info = shared->segments[number - shared->first];
        *is_last = number - shared->first == shared->count - 1;
    }
    pthread_mutex_unlock(&shared->lock);
    return found;
}

void
shared_publish(struct shared_state *shared, uint64_t published)
{
    pthread_mutex_lock(&shared->lock);
    shared->segments[shared->count - 1].published = published;
    pthread_cond_broadcast(&shared->grown);
    pthread_mutex_unlock(&shared->lock);
}

void
shared_drop_first(struct shared_state *shared)
{
    pthread_mutex_lock(&shared->lock);
    shared->first++;
    shared->count--;
    memmove(shared->segments, shared->segments + 1, shared->count * sizeof(*shared->segments));
    pthread_mutex_unlock(&shared->lock);
}

bool
shared_first_before(struct shared_state *shared, uint64_t limit, uint64_t *number)
{
    uint64_t open = atomic_load(&shared->open_segment);
    bool found;

    /*
     * After a crash an incomplete transaction is cut off at its beginning, so the beginning must not be
     * trimmed.
     */
    if (open > 0 && open < limit)
        limit = open;
    pthread_mutex_lock(&shared->lock);
    *number = shared->first;
    found = shared->count > 1 && shared->first < limit;
    pthread_mutex_unlock(&shared->lock);
    return found;
}

uint64_t
shared_bytes(struct shared_state *shared)
{
    uint64_t bytes = 0;

    pthread_mutex_lock(&shared->lock);
    for (size_t i = 0; i < shared->count; i++)
        bytes += shared->segments[i].published;
    pthread_mutex_unlock(&shared->lock);
    return bytes;
}
