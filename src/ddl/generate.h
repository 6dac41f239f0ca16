/*
 * Statements that make a table like the one described by a struct table, under names that the caller chooses:
 * the empty clone that takes the user's statements, and the shadow. No I/O.
 */
#ifndef PGRECAST_DDL_GENERATE_H
#define PGRECAST_DDL_GENERATE_H

#include "core/buffer.h"
#include "ddl/names.h"
#include "ddl/plan.h"

struct generate {
    const struct table *table;
    const char *schema; /* where the new table goes */
    const char *name;
    const struct name_map *relations;  /* of indexes and sequences: other than the final ones; or NULL */
    const struct name_map *statistics; /* of extended statistics; or NULL */
    bool shadow; /* not the clone: unvacuumed, NOT VALID constraints left out, identities not yet ALWAYS */
    int hidden_count;
    const struct plan_key_column *hidden; /* only those with .hidden are added */
};

/* CREATE TABLE with columns and check constraints, then what its columns have beside. Sequences that defaults
 * refer to must be there; those of identity columns are made here. */
void generate_table(const struct generate *g, struct string_list *out);

/* CREATE SEQUENCE in g's schema for one that a column is to own; and its comment. */
void generate_sequence(const struct generate *g, const struct owned_sequence *sequence,
                       struct string_list *out);

/* CREATE INDEX. The text of one statement. */
char *generate_index(const struct generate *g, const struct index *index);

/*
 * The constraint that belongs to an index. With a unique index built before it is only attached; exclusion
 * and temporal constraints build their index themselves (generate_builds_index() says so).
 */
bool generate_builds_index(const struct constraint *c);
char *generate_index_constraint(const struct generate *g, const struct constraint *c,
                                const struct index *index);

/* NOT VALID checks and NOT NULLs: no rows are read. */
void generate_not_valid(const struct generate *g, struct string_list *out);

/* Comments on the table, columns, check constraints; those of one index and its constraint; statistics. */
void generate_comments(const struct generate *g, struct string_list *out);
void generate_index_extras(const struct generate *g, const struct index *index, struct string_list *out);
/* Where they are made: on the shadow where the table has them; the clone has a schema for those elsewhere.
 * The caller frees it. */
char *generate_statistics_schema(const struct generate *g, const struct extended_statistics *x);
void generate_statistics(const struct generate *g, const struct extended_statistics *x,
                         struct string_list *out);

/* REPLICA IDENTITY and CLUSTER ON, where they are not the default. */
void generate_identity(const struct generate *g, struct string_list *out);

/* The constraint of an index, or NULL. */
const struct constraint *generate_constraint_of(const struct table *t, const struct index *index);

#endif
