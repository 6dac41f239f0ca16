/* Keys of rows that are set aside: pgrecast.blocked and what of it is in memory. Internal to the apply. */
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
    size_t at; /* where the next retry goes on among them */

    /* Those that the source did not have at the last look: since marker .looked was passed, and before that.
     */
    struct keyset missing, gone;
    int64_t looked;
};

/* Keys to enter or to remove. Zero-initialise; release with blocked_list_free(). */
struct blocked_list {
    struct keyset keys;
    struct buffer texts, values, errors; /* one array each, in SQL's text form */
};

/* Read the job's keys, instead of those that are there. */
bool blocked_load(struct blocked *b, struct session *s, struct apply_owner owner, int key_count,
                  struct error *err);
void blocked_free(struct blocked *b);

/* key: its bytes as in a batch. error: why, NULL to remove it. */
void blocked_list_add(struct blocked_list *list, const char *key, uint32_t len, int key_count,
                      const char *error);
void blocked_list_free(struct blocked_list *list);

/* In the session's transaction, and in memory. An empty list costs nothing. */
bool blocked_enter(struct blocked *b, const struct blocked_list *list, struct session *s,
                   struct apply_owner owner, struct error *err);
bool blocked_remove(struct blocked *b, const struct blocked_list *list, struct session *s,
                    struct apply_owner owner, struct error *err);
bool blocked_remove_all(struct blocked *b, struct session *s, struct apply_owner owner, struct error *err);

/*
 * Looks into the source, which may be ahead of the stream: a key that it does not have has been deleted, or
 * its row was moved by a change still to come, which is to find it in the shadow. With a marker passed that
 * was written after the look, that change has come: a key that is still set aside and still missing is gone.
 * (The shadow's row of it is older than the first look, as to write it is to take it back. Whatever the key
 * has got since, and whatever the source has moved from it since, is not that row.)
 *
 * begin: marker is the last one passed, and none is under way. seen: of the keys looked up, those missing and
 * those that are there, or were written.
 */
void blocked_look_begin(struct blocked *b, int64_t marker);
bool blocked_is_gone(const struct blocked *b, const char *key, uint32_t len);
void blocked_look_seen(struct blocked *b, const struct keyset *missing, const struct keyset *there);

#endif
