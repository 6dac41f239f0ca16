/*
 * The parameters of one statement, as text. Zero-initialise. A text that is added is not copied: it must live
 * until the statement has been sent. The struct itself may be copied. Nothing has to be released.
 *
 * More than PARAMS_MOST parameters are a mistake in this program and end it.
 */
#ifndef PGRECAST_PG_PARAMS_H
#define PGRECAST_PG_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/lsn.h"

#define PARAMS_MOST 24

struct params {
    int count;
    struct param {
        const char *text; /* NULL: the value is in the room; if that is empty, it is SQL NULL */
        char room[32];
    } items[PARAMS_MOST];
};

/* Each adds the next of $1, $2, … */
void params_text(struct params *p, const char *value); /* NULL: SQL NULL */
void params_null(struct params *p);
void params_int(struct params *p, int64_t value);
void params_uint(struct params *p, uint64_t value);
void params_real(struct params *p, double value); /* three digits after the point */
void params_lsn(struct params *p, lsn_t value);
void params_bool(struct params *p, bool value);

/* The values as libpq wants them. They point into p, which must outlive them. */
void params_values(const struct params *p, const char *values[PARAMS_MOST]);

#endif
