/* --reverse-map 'column=expression': a column of the original from the new table's columns. */
#ifndef PGRECAST_ROWS_REVERSE_MAP_H
#define PGRECAST_ROWS_REVERSE_MAP_H

#include "plan_data/plan.h"
#include "rows/view.h"

struct reverse_map {
    int column;       /* position in the original's columns */
    char *expr;       /* over the alias pgrecast_src, a row of the new table; qualified */
    bool *depends_on; /* by position in the new table's columns */
};

struct reverse_maps {
    int count;
    struct reverse_map *items;
};

/*
 * options: "column=expression", as reverse_map_table() gives them. Runs in the transaction that has the
 * clone, which is like forward->target by now.
 */
bool reverse_maps_read(struct reverse_maps *maps, const struct string_list *options,
                       const struct plan *forward, const struct view_place *place, struct error *err);

/*
 * The table of the set (whose .forward plans exist) that an option is for: its position, and the option for
 * that table alone ("column=expression", to be freed by the caller). -1 with ERROR_USAGE if the text is no
 * such option, or does not say which table it means.
 */
int reverse_map_table(const struct plan_set *set, const char *option, char **of_table, struct error *err);

/* Whether two such options of one table are for the same column, as far as that can be decided. */
bool reverse_map_same_column(const char *a, const char *b);
void reverse_maps_free(struct reverse_maps *maps);

/* The map for a column of the original, or NULL. */
const struct reverse_map *reverse_map_of(const struct reverse_maps *maps, int column);

#endif
