/* Time: monotonic milliseconds for intervals, waits with jittered backoff, and durations as text. */
#ifndef PGRECAST_CORE_CLOCK_H
#define PGRECAST_CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

int64_t clock_ms(void); /* monotonic */
int64_t clock_us(void); /* monotonic */

/* Sleep up to ms milliseconds; false when a stop was requested meanwhile. */
bool clock_sleep(int64_t ms);

/* Exponential backoff with full jitter between first_ms and most_ms. Set .attempt to zero to start anew. */
struct backoff {
    int64_t first_ms;
    int64_t most_ms;
    unsigned attempt;
};

int64_t backoff_next(struct backoff *b);

#define CLOCK_UTC_SIZE 32
/* The time that was ago_ms milliseconds ago, by the wall clock, in UTC and ISO 8601: "2026-11-29T09:05:00Z". */
char *clock_format_utc(int64_t ago_ms, char out[CLOCK_UTC_SIZE]);

/* "1.2 s", "4 min 10 s", "2 h 5 min" into out. */
char *clock_format_duration(double seconds, char out[32]);

#endif
