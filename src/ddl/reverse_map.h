/* --reverse-map 'column=expression': a column of the original from the new table's columns. */
#ifndef PGRECAST_DDL_REVERSE_MAP_H
#define PGRECAST_DDL_REVERSE_MAP_H

#include "ddl/plan.h"
#include "ddl/view.h"

struct reverse_map {
    int column;       /* position in the original's columns */
    char *expr;       /* over the alias pgrecast_src, a row of the new table; qualified */
    bool *depends_on; /* by position in the new table's columns */
};

struct reverse_maps {
    int count;
    struct reverse_map *items;
};

/* In the transaction that has the clone, which is like forward->target by now. */
bool reverse_maps_read(struct reverse_maps *maps, const struct plan_options *options,
                       const struct plan *forward, const struct view_place *place, struct error *err);

/*
 * The table of the set, whose .forward plans are there, that an option is for: its position, and the option
 * for that table alone ("column=expression", the caller's to free). -1 with ERROR_USAGE where the option is
 * none, or does not tell which table it means.
 */
int reverse_map_table(const struct plan_set *set, const char *option, char **of_table, struct error *err);

/* Two such options of one table: for the same column, as far as that can be told. */
bool reverse_map_same_column(const char *a, const char *b);
void reverse_maps_free(struct reverse_maps *maps);

/* Is the text one expression and no more? ERROR_USAGE where it is not. What it means is left to the server.
 */
bool reverse_map_check(const char *text, struct error *err);

/* The map for a column of the original, or NULL. */
const struct reverse_map *reverse_map_of(const struct reverse_maps *maps, int column);

#endif
