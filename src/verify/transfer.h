/* Moves rows from a session into a part of a reading. */
#ifndef PGRECAST_VERIFY_TRANSFER_H
#define PGRECAST_VERIFY_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "pg/session.h"
#include "verify/reading.h"

/*
 * Called with the number of rows now and then, and at the end; false, with err set, ends the transfer.
 * Zeroed: not called.
 */
struct row_watch {
    bool (*rows)(void *arg, int64_t more, struct error *err);
    void *arg;
};

/* Run a COPY TO STDOUT in binary format and give its rows to the part. The caller hands over the part. */
bool transfer_rows(struct session *s, const char *copy_sql, struct reading_part *part,
                   const struct row_watch *watch, struct error *err);

#endif
