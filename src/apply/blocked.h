/* Keys of rows that are set aside: the part of state/blocked.h that is in memory. Internal to the apply. */
#ifndef PGRECAST_APPLY_BLOCKED_H
#define PGRECAST_APPLY_BLOCKED_H

#include <stdbool.h>
#include <stdint.h>

#include "apply/apply.h"
#include "core/error.h"
#include "keyset.h"
#include "pg/session.h"

/* Zero-initialise; release with blocked_free(). */
struct blocked {
    struct keyset keys;
    size_t at; /* the key at which the next retry begins */

    /*
     * Keys that the source did not have at the last lookup: those of lookups since marker .looked was passed,
     * and those of earlier lookups.
     */
    struct keyset missing, gone;
    int64_t looked;
};

/* Keys to enter or to remove. Zero-initialise; release with blocked_list_free(). */
struct blocked_list {
    struct keyset keys;
    struct buffer values, errors; /* an array each, in SQL's text form */
};

/* Read the job's keys from the state; they replace the keys in memory. */
bool blocked_load(struct blocked *b, struct session *s, struct state_table owner, int key_count,
                  struct error *err);
void blocked_free(struct blocked *b);

/* key: its bytes as in a batch. error: the reason to enter the key; NULL: the key is to be removed. */
void blocked_list_add(struct blocked_list *list, const char *key, uint32_t len, int key_count,
                      const char *error);
void blocked_list_free(struct blocked_list *list);

/*
 * Enter or remove the keys of the list, in the session's transaction and in memory. An empty list runs no
 * statement.
 */
bool blocked_enter(struct blocked *b, const struct blocked_list *list, struct session *s,
                   struct state_table owner, struct error *err);
bool blocked_remove(struct blocked *b, const struct blocked_list *list, struct session *s,
                    struct state_table owner, struct error *err);
bool blocked_remove_all(struct blocked *b, struct session *s, struct state_table owner, struct error *err);

/*
 * Lookups in the source, which may be ahead of the stream. If the source does not have a key, the row was
 * deleted, or a change that is still to come has moved it; that change must find the row in the shadow. Once
 * a marker has passed that was written after the lookup, that change has been applied. So a key that is still
 * set aside and still missing is deleted. (The row that the shadow has of such a key is older than the first
 * lookup, because writing the row takes the key off the list. Rows that have come to the key since, or that
 * the source has moved away from it since, are other rows.)
 *
 * begin: marker is the last one passed, and no other one was written since. seen: of the keys that were
 * looked up, those that
 * are missing, and those that exist or were written.
 */
void blocked_look_begin(struct blocked *b, int64_t marker);
bool blocked_is_gone(const struct blocked *b, const char *key, uint32_t len);
void blocked_look_seen(struct blocked *b, const struct keyset *missing, const struct keyset *there);

#endif
