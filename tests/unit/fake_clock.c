#include "fake_clock.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>

#define SLEEPS 1000

/* Linker's names: the prototypes are here because nobody else uses them. */
int64_t __real_clock_ms(void);
int64_t __wrap_clock_ms(void);
bool __wrap_clock_sleep(int64_t ms);

static _Atomic int64_t ahead_ms;
static int64_t sleep_ms[SLEEPS];
static int sleep_count;
static int stop_at;

void
fake_clock_reset(void)
{
    sleep_count = stop_at = 0;
}

void
fake_clock_advance(int64_t ms)
{
    atomic_fetch_add(&ahead_ms, ms);
}

void
fake_clock_stop_at(int sleep)
{
    stop_at = sleep;
}

int
fake_clock_sleeps(void)
{
    return sleep_count;
}

int64_t
fake_clock_sleep_ms(int sleep)
{
    assert(sleep >= 1 && sleep <= SLEEPS && sleep <= sleep_count);
    return sleep_ms[sleep - 1];
}

int64_t
__wrap_clock_ms(void)
{
    return __real_clock_ms() + atomic_load(&ahead_ms);
}

bool
__wrap_clock_sleep(int64_t ms)
{
    if (sleep_count < SLEEPS)
        sleep_ms[sleep_count] = ms;
    sleep_count++;
    fake_clock_advance(ms);
    return stop_at == 0 || sleep_count < stop_at;
}
