/*
 * A clock that does not wait: clock_sleep() only moves clock_ms() on. For a program that is linked with
 * --wrap=clock_ms and --wrap=clock_sleep (tests/unit/meson.build).
 */
#ifndef PGRECAST_TESTS_UNIT_FAKE_CLOCK_H
#define PGRECAST_TESTS_UNIT_FAKE_CLOCK_H

#include <stdint.h>

/* No sleeps yet, and none is interrupted. */
void fake_clock_reset(void);

/* Let so many milliseconds pass. May be called by another thread. */
void fake_clock_advance(int64_t ms);

/* The sleep of that number, counted from 1, is the first that a stop request interrupts; 0: none. */
void fake_clock_stop_at(int sleep);

int fake_clock_sleeps(void);            /* how many there were */
int64_t fake_clock_sleep_ms(int sleep); /* how long one was to be, counted from 1; of the first 1000 */

#endif
