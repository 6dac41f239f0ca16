/*
 * The statements that read one side of a comparison: COPY … TO STDOUT in binary format. They return the
 * plan's canonical values, and, with_keys, the key's texts after them. The plan has the names quoted. No
 * connection.
 */
#ifndef PGRECAST_VERIFY_SELECT_H
#define PGRECAST_VERIFY_SELECT_H

#include <stdbool.h>
#include <stdint.h>

#include "plan_data/plan.h"
#include "verify/reading.h"

/*
 * Rows in the blocks from first to before end; end < 0: to the end of the table. The caller frees the text.
 */
char *select_blocks(const struct plan *plan, enum verify_side side, int64_t first, int64_t end,
                    bool with_keys);

/* Rows whose key is in the keys table (columns k1 …). The caller frees the text. */
char *select_keys(const struct plan *plan, enum verify_side side, const char *keys_table_sql, bool with_keys);

/* The side's table, quoted; owned by the plan. */
const char *select_table(const struct plan *plan, enum verify_side side);

/* What stands before it where its rows are meant: see table_only(). */
const char *select_only(const struct plan *plan, enum verify_side side);

#endif
