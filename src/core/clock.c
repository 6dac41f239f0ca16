#include "core/clock.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/stop.h"

int64_t
clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now); /* the time in which the machine is suspended counts */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
clock_ms(void)
{
    return clock_us() / 1000;
}

bool
clock_sleep(int64_t ms)
{
    int64_t until = clock_ms() + ms;

    for (int64_t left = ms; left > 0 && !stop_requested(); left = until - clock_ms()) {
        struct pollfd fd = {.fd = stop_fd(), .events = POLLIN};

        poll(&fd, 1, left > 1000 ? 1000 : (int)left);
    }
    return !stop_requested();
}

int64_t
backoff_next(struct backoff *b)
{
    int64_t ceiling = b->first_ms;

    for (unsigned i = 0; i < b->attempt && ceiling < b->most_ms; i++)
        ceiling *= 2;
    if (ceiling > b->most_ms)
        ceiling = b->most_ms;
    b->attempt++;
    return ceiling / 2 + (int64_t)((double)ceiling / 2 * ((double)(clock_us() % 1000) / 1000.0));
}

char *
clock_format_utc(int64_t ago_ms, char out[CLOCK_UTC_SIZE])
{
    time_t at = time(NULL) - (time_t)(ago_ms / 1000);
    struct tm utc;

    strftime(out, CLOCK_UTC_SIZE, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &utc));
    return out;
}

char *
clock_format_duration(double seconds, char out[32])
{
    long whole = (long)(seconds + 0.5);

    if (seconds < 0.9995)
        snprintf(out, 32, "%.0f ms", seconds * 1000);
    else if (seconds < 99.95)
        snprintf(out, 32, "%.1f s", seconds);
    else if (whole < 3600)
        snprintf(out, 32, "%ld min %ld s", whole / 60, whole % 60);
    else
        snprintf(out, 32, "%ld h %ld min", whole / 3600, whole % 3600 / 60);
    return out;
}
