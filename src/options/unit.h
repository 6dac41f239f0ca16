/*
 * Times and sizes: the only place where "1d12h" and "64MB" become numbers, and numbers become such texts.
 *
 * Refuses a number without a unit, because 24 could mean hours but would be read as seconds. 0 needs none.
 * Internal to the options.
 */
#ifndef PGRECAST_OPTIONS_UNIT_H
#define PGRECAST_OPTIONS_UNIT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"

/* What a value measures. */
enum measure {
    MEASURE_COUNT,   /* a bare number */
    MEASURE_MS,      /* a time, in milliseconds */
    MEASURE_SECONDS, /* a time, in whole seconds */
    MEASURE_SIZE,    /* bytes */
};

enum unit_outcome {
    UNIT_OK,
    UNIT_MISSING, /* a number without a unit, although the measure needs one */
    UNIT_WRONG,   /* anything else that is not a value of the measure */
};

/*
 * One number with its unit; for times also several parts with smaller and smaller units: 90s, 1d12h, 1h
 * 30min.
 */
enum unit_outcome unit_parse(enum measure measure, const char *text, int64_t *value);

/* Add the value in the largest unit that leaves no remainder. */
void unit_add(enum measure measure, int64_t value, struct buffer *out);

/* A sentence that says how such a value is written; NULL: no explanation is needed. */
const char *unit_forms(enum measure measure);

#endif
