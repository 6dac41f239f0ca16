/*
 * Privileges of roles other than the owner: only the active table has them. The new table has none until the
 * swap, which revokes them on the table that becomes inactive and grants them on the other one. The owner may
 * have revoked some of his own privileges. Those are revoked on the new table last, in the swap, because the
 * program works with the owner's rights.
 */
#ifndef PGRECAST_OBJECTS_GRANTS_H
#define PGRECAST_OBJECTS_GRANTS_H

#include "objects/generate.h"
#include "objects/swap_names.h"

/*
 * Directly after the creation: revoke what ALTER DEFAULT PRIVILEGES granted, on the table and its sequences.
 */
void grants_close(const struct generate *g, const struct table *source, struct string_list *out);

/*
 * In a swap, when the names are exchanged: other roles lose their privileges on the own sequences of p's source, and
 * get them on those of its target. to_made: the target is the new table, else the original.
 */
void grants_move(const struct plan *p, const struct swap_names *x, bool to_made, struct string_list *out);

/* The same for the tables and their columns. This is made anew if the privileges change during the job. */
void grants_move_table(const struct plan *p, struct string_list *out);

/* Privileges that cannot be granted again because somebody else than the owner granted them, as reasons. */
void grants_refuse(const struct table *t, struct string_list *reasons);

/*
 * Privileges that are needed to create triggers and foreign keys and that the owner does not have: to be
 * revoked again at the end.
 */
void grants_lend(const struct generate *g, struct string_list *out);

/*
 * Revoke from the owner what he does not have on the original. At this point the comments and privileges of
 * NOT VALID parts exist.
 */
void grants_take(const struct generate *g, struct string_list *out);

/*
 * A privilege that is needed to follow the table's changes and that the owner has revoked from himself, or
 * NULL.
 */
const char *grants_owner_lacks(const struct table *t);

#endif
