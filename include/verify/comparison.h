/*
 * How two sides are compared: one reading of both; where buckets differ, a second one that spreads the rows
 * of these buckets over new ones (only where they are too many to be kept); then readings that keep the rows
 * of differing buckets and name the keys.
 *
 * Every later reading must find the rows of the one before: if not, the sides did not stand still, or an
 * expression does not give the same value twice, and the comparison fails rather than to report what it
 * cannot know.
 *
 * Pure: readings are made by a function of the caller. Memory is bounded by the limits: beyond them keys are
 * counted but not kept, and where whole buckets are left unread the count is a least one, and said to be.
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
    int64_t named_rows;   /* of both sides, kept by one reading to name their keys */
    int64_t refined_rows; /* of both sides, spread over new buckets by the second reading */
    int naming_readings;
    size_t key_bytes;    /* of key texts in one reading */
    int mismatches;      /* kept in the result */
    size_t result_bytes; /* of key texts in the result */
};

extern const struct comparison_limits comparison_limits;

struct comparison {
    int key_count;
    int field_count;
    uint32_t bucket_count; /* of the first reading: a power of two */
    const struct comparison_limits *limits;

    /* Reads all rows of both sides and hands them to r. Called from the thread of comparison_run() only. */
    bool (*read)(void *arg, struct reading *r, struct error *err);
    void *arg;
};

/*
 * Fills result, which the caller has zeroed and releases also on failure. False when a reading failed, never
 * because the sides differ.
 */
bool comparison_run(const struct comparison *c, struct verify_result *result, struct error *err);

#endif
