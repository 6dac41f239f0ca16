/* Rows from a session into a part of a reading. */
#ifndef PGRECAST_VERIFY_TRANSFER_H
#define PGRECAST_VERIFY_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "pg/session.h"
#include "verify/reading.h"

/* Told of rows now and then, and at the end; false, with err set, ends early. Zeroed: nobody asks. */
struct row_watch {
    bool (*rows)(void *arg, int64_t more, struct error *err);
    void *arg;
};

/* Run a COPY TO STDOUT in binary format and give its rows to the part. Handing the part over is the caller's.
 */
bool transfer_rows(struct session *s, const char *copy_sql, struct reading_part *part,
                   const struct row_watch *watch, struct error *err);

#endif
