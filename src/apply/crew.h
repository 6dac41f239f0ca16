/*
 * Sessions that help to write a large batch: each takes the keys of its part, all at the same time. Their
 * transactions are committed before that of the apply's own session, which has the place. So after a crash in
 * between, rows of the last batch may be newer than the place: a successor must know that it cannot trust
 * them (apply_bounds.distrust), and unique values that move between rows must not meet. Internal to the
 * apply.
 */
#ifndef PGRECAST_APPLY_CREW_H
#define PGRECAST_APPLY_CREW_H

#include "apply/apply.h"
#include "flush.h"

struct crew;

/*
 * NULL where no batch could be written in parts: rows may be set aside, something but the key is unique, or
 * keys that differ may be equal. The sessions are opened when they are needed first.
 */
struct crew *crew_open(const struct apply_options *options, int64_t instance);
void crew_free(struct crew *c); /* NULL-safe */

/*
 * Whether this batch may be: it is large enough, all its rows are known whole, and no other row's values are
 * needed. After flush_start() of own.
 */
bool crew_fits(const struct flush *own, const struct batch *b);

/* In the open transaction of own's session. When true, the helpers' parts are committed; else none is, or the
 * connection is lost. */
bool crew_write(struct crew *c, struct flush *own, const struct batch *b, enum flush_trust trust,
                struct error *err);

#endif
