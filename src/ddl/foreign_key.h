/*
 * Foreign keys of the table and those that point at it: on the clone with stand-ins for the other tables, so
 * that the server itself says what the user's statements make of them; then with the real names again, as
 * what a swap takes away, makes again NOT VALID, and has validated after it.
 */
#ifndef PGRECAST_DDL_FOREIGN_KEY_H
#define PGRECAST_DDL_FOREIGN_KEY_H

#include "ddl/plan.h"

/* Make them on the clone, which is called like the source, in the scratch schema. One whose other table is
 * gone is left out. */
bool foreign_keys_clone(struct session *s, const struct table *source, const char *schema, struct error *err);

/* Those of the clone are those of the source, read back. */
bool foreign_keys_are_like(const struct table *source, const struct table *clone);

/* Read from the clone as target->foreign_keys: under the names of the real tables. */
void foreign_keys_settle(const struct table *source, struct table *target);

/* The server's words (NULL-safe), with the real tables in the place of stand-ins where they fit. */
void foreign_keys_blame(const struct table *source, char *text);

/* The statements; ref_columns: instead of its own, or NULL. To be validated after the swap is what was valid.
 */
void foreign_key_detach(const struct foreign_key *f, struct string_list *out);
void foreign_key_attach(const struct foreign_key *f, const char *ref_columns, struct string_list *out,
                        struct string_list *validate);

#endif
