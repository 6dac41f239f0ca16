/*
 * Privileges of the new table as those of the old. The owner may have taken some from himself: those go last,
 * in the swap, because the program works with the owner's rights.
 */
#ifndef PGRECAST_DDL_GRANTS_H
#define PGRECAST_DDL_GRANTS_H

#include "ddl/generate.h"

/* Right after the creation: take back what ALTER DEFAULT PRIVILEGES gave. */
void grants_close(const struct generate *g, const struct table *source, struct string_list *out);

/* Give what the old table has, to its grantees: on the table, its columns, and sequences that are made anew.
 */
void grants_give(const struct generate *g, struct string_list *out);

/* What cannot be given again because somebody else gave it, as reasons. */
void grants_refuse(const struct table *t, struct string_list *reasons);

/* What making triggers and foreign keys needs and the owner has not got: to be taken again at the end. */
void grants_lend(const struct generate *g, struct string_list *out);

/* Take from the owner what he does not have; comments and privileges of NOT VALID parts are there by now. */
void grants_take(const struct generate *g, struct string_list *out);

/* A privilege that the owner has taken from himself and that following the table's changes needs, or NULL. */
const char *grants_owner_lacks(const struct table *t);

#endif
