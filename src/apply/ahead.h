/* What is applied beyond the place that is saved, while transactions before it are held back. Internal to the
 * apply. */
#ifndef PGRECAST_APPLY_AHEAD_H
#define PGRECAST_APPLY_AHEAD_H

#include <stdbool.h>

#include "apply/apply.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/lsn.h"
#include "pg/session.h"

/*
 * It stands in the row of the place, in the same transaction: those transactions must not be applied again.
 * Nothing in the shadow would tell that they have been. Where a key was moved, the values that only the
 * shadow has are under the new key then, and under the old one there is nothing, or a row that has come there
 * since (inserted, moved on in a chain, exchanged), whose values are not the moved row's. Nor is a row under
 * the new key always the one that was moved there, when later transactions were applied too.
 *
 * Zero-initialise; release with ahead_free().
 */
struct ahead {
    lsn_t until; /* all that ends up to here is applied, 0: nothing beyond the place … */
    int count;   /* … but for transactions whose commit records are at these positions, in any order */
    lsn_t *held;
};

bool ahead_has(const struct ahead *x, lsn_t commit); /* it is applied */
void ahead_hold(struct ahead *x, lsn_t commit);
void ahead_free(struct ahead *x);

/*
 * All up to place is applied, and what now says beyond it; last: what an earlier process has left beyond, of
 * which this one has read up to read. *out: what is beyond the place, all told.
 */
void ahead_merge(const struct ahead *last, const struct ahead *now, lsn_t place, lsn_t read,
                 struct ahead *out);

/* The positions as an array in SQL's text form. */
void ahead_write(const struct ahead *x, struct buffer *array);

bool ahead_load(struct ahead *x, struct session *s, struct apply_owner owner, struct error *err);

#endif
