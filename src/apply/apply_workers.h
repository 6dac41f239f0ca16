/*
 * Apply workers: sessions that help to write a large batch. Each writes the keys of its part, all at the same
 * time. Their transactions are committed before that of the apply's own session, which writes the position.
 * So after a crash in between, rows of the last batch may be newer than the position. For that reason a
 * successor must not trust those rows (apply_bounds.distrust), and batches in which unique values could move
 * between rows are not written in parts. Internal to the apply.
 */
#ifndef PGRECAST_APPLY_APPLY_WORKERS_H
#define PGRECAST_APPLY_APPLY_WORKERS_H

#include "apply/apply.h"
#include "flush.h"

struct apply_workers;

/*
 * NULL where no batch may be written in parts: rows may be set aside, something but the key is unique, or
 * keys with different texts may be equal. The sessions are opened when they are first needed.
 */
struct apply_workers *apply_workers_open(const struct apply_options *options);
void apply_workers_free(struct apply_workers *w); /* NULL-safe */

/*
 * Whether this batch may be written in parts: it is large enough, the values of all its rows are known, and
 * no values of other rows are needed. To be called after flush_start() of own.
 */
bool apply_workers_fits(const struct flush *own, const struct batch *b);

/*
 * Write the batch in parts, in the open transaction of own's session. When true, the workers' parts are
 * committed. Otherwise none is committed, or the connection is lost.
 */
bool apply_workers_write(struct apply_workers *w, struct flush *own, const struct batch *b,
                         enum flush_trust trust, struct error *err);

#endif
