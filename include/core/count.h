/* Words of a message that agree with a number. */
#ifndef PGRECAST_CORE_COUNT_H
#define PGRECAST_CORE_COUNT_H

#include <stdint.h>

/* The word, or words, for one thing or for any other number of things: 1 row differs, 2 rows differ. */
static inline const char *
count_word(int64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

#endif
