/*
 * Transactions that are applied beyond the saved position, while transactions before them are held back.
 * Internal to the apply.
 */
#ifndef PGRECAST_APPLY_BEYOND_H
#define PGRECAST_APPLY_BEYOND_H

#include <stdbool.h>

#include "apply/apply.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/lsn.h"
#include "pg/session.h"

/*
 * The list is in the row of the position, and is written in the same transaction: those transactions must not
 * be applied again, and the shadow does not show that they are applied. Suppose such a transaction has moved
 * a key. The values that only the shadow has are then under the new key. Under the old key there is nothing,
 * or a row that has come there since (inserted, moved in a chain, exchanged), whose values are not those of
 * the moved row. When later transactions are applied too, the row under the new key is not always the moved
 * row either.
 *
 * Zero-initialise; release with beyond_free().
 */
struct beyond {
    lsn_t until; /* all transactions that end up to here are applied; 0: none beyond the position … */
    int count;   /* … except for transactions whose commit records are at these positions, in any order */
    lsn_t *held;
};

bool beyond_has(const struct beyond *x, lsn_t commit); /* the transaction is applied */
void beyond_hold(struct beyond *x, lsn_t commit);
void beyond_free(struct beyond *x);

/*
 * Combines two lists: everything up to position is applied, and so is what `now` lists. last: what an earlier
 * process has applied beyond its position; this process has read the log up to read. *out: all that is
 * applied beyond the position.
 */
void beyond_merge(const struct beyond *last, const struct beyond *now, lsn_t position, lsn_t read,
                  struct beyond *out);

/* Writes the positions as an array in SQL's text form. */
void beyond_write(const struct beyond *x, struct buffer *array);

bool beyond_load(struct beyond *x, struct session *s, struct state_table owner, struct error *err);

#endif
