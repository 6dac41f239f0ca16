/*
 * Statements that create a table like the one that a struct table describes, under names that the caller
 * chooses. They are for the empty clone on which the user's statements run, and for the shadow. No I/O.
 */
#ifndef PGRECAST_OBJECTS_GENERATE_H
#define PGRECAST_OBJECTS_GENERATE_H

#include "core/buffer.h"
#include "objects/names.h"
#include "plan_data/plan.h"

struct generate {
    const struct table *table;
    const char *schema; /* where the new table is created */
    const char *name;
    /* of indexes and sequences, if they differ from the final ones; or NULL */
    const struct name_map *relations;
    const struct name_map *statistics; /* of extended statistics; or NULL */
    /* the shadow, not the clone: no autovacuum, without NOT VALID constraints, identities not yet ALWAYS */
    bool shadow;
    int hidden_count;
    const struct plan_key_column *hidden; /* only those with .hidden are added */
};

/*
 * CREATE TABLE with columns and check constraints, its partitions, then the other properties of its columns. Those
 * partitions that hold rows have the storage parameters of the table. Sequences that
 * defaults refer to must exist; those of identity columns are created here.
 */
void generate_table(const struct generate *g, struct string_list *out);

/* CREATE SEQUENCE in g's schema for a sequence that a column will own, and its comment. */
void generate_sequence(const struct generate *g, const struct owned_sequence *sequence,
                       struct string_list *out);

/* CREATE INDEX. The text of one statement. */
char *generate_index(const struct generate *g, const struct index *index);

/*
 * The constraint that belongs to an index. A unique index that was built before is only attached to it;
 * exclusion and temporal constraints, and all of a partitioned table, build their index themselves (generate_builds_index() says whether one
 * does).
 */
bool generate_builds_index(const struct table *t, const struct constraint *c);
char *generate_index_constraint(const struct generate *g, const struct constraint *c,
                                const struct index *index);

/* Checks and NOT NULLs that are NOT VALID: no rows are read. */
void generate_not_valid(const struct generate *g, struct string_list *out);

/* Comments on the table, columns, check constraints; those of one index and its constraint; statistics. */
void generate_comments(const struct generate *g, struct string_list *out);
void generate_index_extras(const struct generate *g, const struct index *index, struct string_list *out);
/*
 * The schema in which statistics objects are created. On the shadow it is the one that the table's have; the
 * clone has a separate schema for statistics in other schemas. The caller frees it.
 */
char *generate_statistics_schema(const struct generate *g, const struct extended_statistics *x);
void generate_statistics(const struct generate *g, const struct extended_statistics *x,
                         struct string_list *out);

/* REPLICA IDENTITY and CLUSTER ON, if they are not the default. */
void generate_identity(const struct generate *g, struct string_list *out);

/* The constraint of an index, or NULL. */
const struct constraint *generate_constraint_of(const struct table *t, const struct index *index);

#endif
