/*
 * Names that have to fit: cut to PostgreSQL's 63 bytes at a character boundary, and unlike any that is taken.
 */
#ifndef PGRECAST_DDL_NAMES_H
#define PGRECAST_DDL_NAMES_H

#include "ddl/plan.h"

#define NAME_BYTES 63

/* name and suffix, the name cut where the whole would be too long. */
char *name_with_suffix(const char *name, const char *suffix);

/* The same, with a number added to the suffix where the result is among the taken names; it is added to them.
 */
char *name_unlike(const char *name, const char *suffix, struct string_list *taken);

/* "schema"."name" */
char *name_qualified(const char *schema, const char *name);
char *name_quoted(const char *name);

/* Two texts that may be NULL. */
bool name_same(const char *a, const char *b);

/* Final names and those that stand for them on the shadow until the swap. */
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
