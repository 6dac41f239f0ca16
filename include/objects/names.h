/*
 * Names of limited length: cut to PostgreSQL's 63 bytes at a character boundary, and different from any name
 * in use.
 */
#ifndef PGRECAST_OBJECTS_NAMES_H
#define PGRECAST_OBJECTS_NAMES_H

#include "core/list.h"

#define NAME_BYTES 63

/* name and suffix; the name is cut if the whole would be too long. */
char *name_with_suffix(const char *name, const char *suffix);

/*
 * The same. If the result is among the names in use, a number is added to the suffix. The result is added to
 * those names.
 */
char *name_unlike(const char *name, const char *suffix, struct string_list *taken);

/* Final names, and the names that replace them on the shadow until the swap. */
struct name_map {
    int count;
    struct name_pair {
        char *final;
        char *shadow;
    } * pairs;
};

/* The shadow's name for a final one; the name itself where the map has none. */
const char *name_map_find(const struct name_map *map, const char *final);
void name_map_add(struct name_map *map, const char *final, char *shadow); /* takes shadow over */
void name_map_free(struct name_map *map);

#endif
