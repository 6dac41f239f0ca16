/*
 * The names that a swap exchanges, as data: the names of each of the two tables, and of everything named
 * after it, while the table is active and while it is not; and what is done with sequences. The statements of
 * every swap come from it; swap_first.h adds those that only the first one has. No I/O.
 */
#ifndef PGRECAST_OBJECTS_SWAP_NAMES_H
#define PGRECAST_OBJECTS_SWAP_NAMES_H

#include "objects/names.h"
#include "plan_data/plan.h"

struct swap_part {
    const char *kind; /* TABLE, INDEX, STATISTICS, SEQUENCE */
    char *schema;
    char *active;   /* its name while its table is active … */
    char *inactive; /* … and while it is not */
};

struct swap_parts {
    int count;
    struct swap_part *items; /* the table first */
};

/*
 * A sequence that columns of both tables use (OWNED BY). It belongs to the active table, because dropping the
 * other one would drop it too.
 */
struct swap_moved {
    char *sequence; /* qualified */
    char *original_column;
    char *made_column;
    char *widen; /* "AS bigint MINVALUE ... MAXVALUE ..." for the target's column; NULL: nothing changes */
    /* the same for the original's column; possible only if the sequence is between the two values below */
    char *narrow;
    long long least, most;
};

/*
 * Two sequences of one column: the sequence of the table that becomes active continues from the position of
 * the other.
 */
struct swap_handed {
    struct swap_part original; /* kind is NULL */
    struct swap_part made;
    int attnum;    /* of the target */
    bool followed; /* the target's was created like the source's, and the user did not set it anew */
};

struct swap_names {
    char *table_sql; /* the active table */
    struct swap_parts original;
    struct swap_parts made;
    int moved_count;
    struct swap_moved *moved;
    int handed_count;
    struct swap_handed *handed;
};

/*
 * shadow: names of the target's parts while it is inactive. relations and statistics: names in use; those for
 * the original's parts are added to them.
 */
void swap_names_plan(struct swap_names *x, const struct plan *p, const struct name_map *shadow_relations,
                     const struct name_map *shadow_statistics, struct string_list *relations,
                     struct string_list *statistics);
void swap_names_free(struct swap_names *x);

/* The renames of one table's parts. lenient: skip parts that somebody has dropped meanwhile. */
void swap_to_inactive(const struct swap_parts *parts, bool lenient, struct string_list *out);
void swap_to_active(const struct swap_parts *parts, bool lenient, struct string_list *out);

/* Sequences after the renames, when the target, or else the original, is active. */
void swap_move_sequences(const struct swap_names *x, bool to_made, struct string_list *out);
void swap_hand_sequences(const struct swap_names *x, bool to_made, struct string_list *out);

/* Everything of the swap back to the original, and of the swap after that. */
void swap_back(const struct swap_names *x, struct string_list *out);
void swap_again(const struct swap_names *x, struct string_list *out);

/* The name that a part of the original has while the original is inactive. */
const char *swap_name_inactive(const struct swap_parts *parts, const char *kind, const char *active);

#endif
