/*
 * The proof that an object which was created again means the same: its stored expressions use what those of
 * the object use that it was made from (catalog/expressions.h).
 */
#ifndef PGRECAST_OBJECTS_PROOF_H
#define PGRECAST_OBJECTS_PROOF_H

#include <stdbool.h>

#include "catalog/expressions.h"
#include "catalog/table.h"
#include "core/list.h"
#include "pg/session.h"
#include "retarget.h"

/* The types that columns of the source get in the target, for columns whose type or collation changes. */
void proof_add_types(const struct table *source, const struct table *target, struct string_list *types);

/*
 * A statement for the transaction that creates objects again. It fails with SQLSTATE PLANNED_UNLIKE if one of
 * them uses something else than was found while planning. A role that may create objects in one of the
 * schemas on the search_path could have added a better match since then. Objects that use only what is in
 * pg_catalog are left out, because only a superuser can add anything there. Zero-initialise; ends in
 * proof_statement(), which gives NULL if there is nothing to prove.
 */
struct proof {
    int count;
    struct buffer found;  /* rows that name the objects … */
    struct buffer wanted; /* … and say what they are to use */
};

/*
 * What the object uses that was created in place of the dependent in other schemas, with the real schemas'
 * names; and the statement that creates it, as the server prints it now (NULL if there is none). The caller
 * frees it. there gets the proof for the object where it is now, in the other schemas; NULL: it is not needed.
 */
bool proof_read(struct session *s, const struct dependent *d, const struct retarget *map, struct proof *there,
                struct uses *made, char **text, struct error *err);

/*
 * An expression of a table itself: of the column, constraint or index of that name, which is in the table or
 * in its schema.
 */
void proof_add_own(struct proof *proof, const struct named_uses *named, const char *schema, const char *table,
                   const char *name);

/* Any other object, by its present name. */
bool proof_add(struct proof *proof, struct session *s, const struct object_id *object,
               const char *description, const struct uses *uses, struct error *err);
char *proof_statement(struct proof *proof);

#endif
