/* The dirty set: keys touched since a snapshot, to be compared again. Internal to the apply. */
#ifndef PGRECAST_APPLY_DIRTY_H
#define PGRECAST_APPLY_DIRTY_H

#include <stdbool.h>
#include <stdint.h>

#include "batch.h"
#include "core/error.h"
#include "keyset.h"
#include "pg/session.h"

/* Zero-initialise; release with dirty_clear(). */
struct dirty {
    bool recording; /* since dirty_start() */
    bool truncated; /* a TRUNCATE came by */
    struct keyset keys;
    struct keyset loaded; /* taken out of them by dirty_load(), until the caller has judged them */
};

void dirty_start(struct dirty *d);
void dirty_clear(struct dirty *d);

/* All that is in from goes over to the other. */
void dirty_move(struct dirty *to, struct dirty *from);

/* The keys of a batch that was written. */
void dirty_record(struct dirty *d, const struct batch *b);

/* Keys as one text per key column. */
bool dirty_has(const struct dirty *d, int key_count, char *const *values);
void dirty_add(struct dirty *d, int key_count, char *const *values);

/* Take up to that many keys and copy them into the table of the session, and remove them from it. */
bool dirty_load(struct dirty *d, struct session *s, const char *table, int key_count, int64_t most,
                struct error *err);

bool dirty_unload(const struct dirty *d, struct session *s, const char *table, struct error *err);

/* Put those of the last load back. */
void dirty_restore(struct dirty *d);

#endif
