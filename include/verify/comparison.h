/*
 * How two sides are compared. First one reading of both sides. If buckets differ, a second reading spreads
 * the rows of these buckets over new buckets (only where there are too many rows to keep). Further readings
 * keep the rows of differing buckets and name the keys.
 *
 * Every later reading must find the rows of the one before. If it does not, the sides were changed meanwhile,
 * or an
 * expression does not return the same value twice. Then the comparison fails, because it cannot know the
 * result.
 *
 * Pure: a function of the caller makes the readings. Limits bound the memory. Beyond them keys are counted
 * but not kept.
 * Where whole buckets are not read, the count is marked as a lower bound.
 */
#ifndef PGRECAST_VERIFY_COMPARISON_H
#define PGRECAST_VERIFY_COMPARISON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "verify/reading.h"
#include "verify/verify.h"

struct comparison_limits {
    int64_t named_rows;   /* rows of both sides that one reading keeps to name their keys */
    int64_t refined_rows; /* rows of both sides that the second reading spreads over new buckets */
    int naming_readings;
    size_t key_bytes;    /* bytes of key texts in one reading */
    int mismatches;      /* mismatches kept in the result */
    size_t result_bytes; /* bytes of key texts in the result */
};

extern const struct comparison_limits comparison_limits;

struct comparison {
    int key_count;
    int field_count;
    uint32_t bucket_count; /* of the first reading: a power of two */
    const char *encoding;  /* of the keys' texts (core/encoding.h) */
    const struct comparison_limits *limits;

    /* Reads all rows of both sides and gives them to r. Called only from the thread of comparison_run(). */
    bool (*read)(void *arg, struct reading *r, struct error *err);
    void *arg;
};

/*
 * Fills result. The caller has zeroed it, and releases it also after a failure. False when a reading failed,
 * never because the sides differ.
 */
bool comparison_run(const struct comparison *c, struct verify_result *result, struct error *err);

#endif
