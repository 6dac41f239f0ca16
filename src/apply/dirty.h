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
    bool recording; /* recording since dirty_start() */
    bool truncated; /* a TRUNCATE was applied */
    struct keyset keys;
    struct keyset loaded; /* keys that dirty_load() has taken out, until the caller has judged them */
};

void dirty_start(struct dirty *d);
void dirty_clear(struct dirty *d);

/* Move everything from one set to the other. */
void dirty_move(struct dirty *to, struct dirty *from);

/* Record the keys of a batch that was written. */
void dirty_record(struct dirty *d, const struct batch *b);

/* values: one text for each key column. */
bool dirty_has(const struct dirty *d, int key_count, char *const *values);
void dirty_add(struct dirty *d, int key_count, char *const *values);

/*
 * dirty_load() takes up to that many keys and copies them into the session's table; the other function
 * removes them from that table.
 */
bool dirty_load(struct dirty *d, struct session *s, const char *table, int key_count, int64_t most,
                struct error *err);

bool dirty_unload(const struct dirty *d, struct session *s, const char *table, struct error *err);

/* Put the keys of the last load back. */
void dirty_restore(struct dirty *d);

#endif
