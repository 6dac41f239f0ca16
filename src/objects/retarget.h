/* Statements that the server wrote, with the schema of some relations and functions replaced. */
#ifndef PGRECAST_OBJECTS_RETARGET_H
#define PGRECAST_OBJECTS_RETARGET_H

#include <stdbool.h>

#include "core/error.h"

struct retarget_name {
    char *schema; /* as the server writes it: in quotes only where it needs them */
    char *name;
    char *to; /* the other schema; needs no quotes */
};

struct retarget {
    int count;
    struct retarget_name *items;
};

void retarget_add(struct retarget *map, const char *schema, const char *name, const char *to);
void retarget_drop_last(struct retarget *map);
bool retarget_has(const struct retarget *map, const char *schema, const char *name);
void retarget_free(struct retarget *map);

/*
 * The statement with "schema.name" replaced by "to.name" wherever it stands. It would also replace a column
 * of that name under an alias that is called like the schema. So this is only for trying statements out, not
 * for statements whose effect stays. NULL, with err set, for text that cannot be read.
 */
char *retarget_statement(const struct retarget *map, const char *sql, struct error *err);

#endif
