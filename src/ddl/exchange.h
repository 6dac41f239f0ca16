/*
 * The two tables changing places, as data: what each of them and all that is named after it is called while
 * the table serves and while it stands apart, and what becomes of sequences. From it come the statements of
 * every swap but what only the first one does. No I/O.
 */
#ifndef PGRECAST_DDL_EXCHANGE_H
#define PGRECAST_DDL_EXCHANGE_H

#include "ddl/names.h"
#include "ddl/plan.h"

struct exchange_part {
    const char *kind; /* TABLE, INDEX, STATISTICS, SEQUENCE */
    char *schema;
    char *serving;
    char *apart;
};

struct exchange_parts {
    int count;
    struct exchange_part *items; /* the table first */
};

/* A sequence of both tables' columns (OWNED BY): it goes with the one that serves, or it would be dropped
 * with the other. */
struct exchange_moved {
    char *sequence; /* qualified */
    char *original_column;
    char *made_column;
};

/* Two sequences of one column: that of the table which comes to serve goes on where the other stands. */
struct exchange_handed {
    struct exchange_part original; /* kind is NULL */
    struct exchange_part made;
    int attnum;    /* of the target */
    bool followed; /* the target's was made as a like of the source's, and not set anew by the user */
};

struct exchange {
    char *table_sql; /* what serves */
    struct exchange_parts original;
    struct exchange_parts made;
    int moved_count;
    struct exchange_moved *moved;
    int handed_count;
    struct exchange_handed *handed;
};

/*
 * shadow: names of the target's parts while they stand apart. relations and statistics: names that are taken,
 * to which those for the original's parts are added.
 */
void exchange_plan(struct exchange *x, const struct plan *p, const struct name_map *shadow_relations,
                   const struct name_map *shadow_statistics, struct string_list *relations,
                   struct string_list *statistics);
void exchange_free(struct exchange *x);

/* The renames of one table's parts. lenient: parts that somebody has dropped meanwhile are passed over. */
void exchange_to_apart(const struct exchange_parts *parts, bool lenient, struct string_list *out);
void exchange_to_serving(const struct exchange_parts *parts, bool lenient, struct string_list *out);

/* Sequences after the renames, with the target or the original in its place. */
void exchange_move_sequences(const struct exchange *x, bool to_made, struct string_list *out);
void exchange_hand_sequences(const struct exchange *x, bool to_made, struct string_list *out);

/* All of the swap back to the original, and of the one after that. */
void exchange_back(const struct exchange *x, struct string_list *out);
void exchange_again(const struct exchange *x, struct string_list *out);

/* The name that a part of the original has while it stands apart. */
const char *exchange_apart(const struct exchange_parts *parts, const char *kind, const char *serving);

#endif
