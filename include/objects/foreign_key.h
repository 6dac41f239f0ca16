/*
 * Foreign keys of the table and those that refer to it. On the clone they are made with stand-ins for the
 * other tables, so that the server itself says what the user's statements make of them. Then they are
 * described with the real names again: a swap drops them, creates them again NOT VALID, and has them
 * validated after it.
 */
#ifndef PGRECAST_OBJECTS_FOREIGN_KEY_H
#define PGRECAST_OBJECTS_FOREIGN_KEY_H

#include <stdbool.h>

#include "catalog/table.h"
#include "core/error.h"
#include "core/list.h"
#include "parse/statement.h"
#include "pg/session.h"
#include "plan_data/plan.h"

/*
 * Create them on the clone, which has the source's name, in the scratch schema. A key whose other table no
 * longer exists is left out.
 */
bool foreign_keys_clone(struct session *s, const struct table *source, const char *schema, struct error *err);

/* Check that the clone's keys, read back, are those of the source. */
bool foreign_keys_are_like(const struct table *source, const struct table *clone);

/* The tables that the user's new foreign keys refer to, in the order of statement_list.referenced. */
struct referenced_list {
    int count;
    struct referenced {
        oid_t oid;
        char *name;  /* qualified, quoted if necessary */
        char *clone; /* the table that replaces it in the scratch schema, likewise */
        char *lock;  /* as in struct foreign_key */
        /* another table of the job: the oid of its clone, on which its statements have been run; else 0 */
        oid_t changed;
    } * items;
};

/*
 * Find them under the user's search_path. ERROR_USAGE if there is no such table, ERROR_REFUSED if it cannot be
 * referred to.
 */
bool referenced_find(struct session *s, const struct statement_list *statements, struct referenced_list *list,
                     struct error *err);

/*
 * Make stand-ins for those that have none yet; after foreign_keys_clone(). A table of the job (.changed) stands in
 * as its statements leave it, because the keys are added after all tables have changed.
 */
bool referenced_make(struct session *s, const struct table *source, const char *schema,
                     struct referenced_list *list, struct error *err);
void referenced_free(struct referenced_list *list);

/*
 * The statements that drop, on the clone in the schema, those keys of another table of the job to the source which that
 * table's own statements drop.
 */
void foreign_keys_dropped(const struct table *source, const char *schema, oid_t other,
                          const struct statement_list *statements, struct string_list *out);

/* The SQL of a statement or a clause, with the names of these tables on the clone. */
char *referenced_sql(const struct referenced_list *list, const char *schema, const char *sql);

/* Read target->foreign_keys from the clone, with the names of the real tables. */
void foreign_keys_settle(const struct table *source, const struct referenced_list *list,
                         struct table *target);

/* Replace stand-ins by the real tables in a message of the server (NULL-safe), if they fit in. */
void foreign_keys_blame(const struct table *source, const struct referenced_list *list, char *text);

/*
 * The statements. ref_columns: used instead of the key's own, or NULL. A key that was valid is to be
 * validated after the swap.
 */
void foreign_key_detach(const struct foreign_key *f, struct string_list *out);
void foreign_key_attach(const struct foreign_key *f, const char *ref_columns, struct planned_list *out,
                        struct planned_list *validate);

#endif
