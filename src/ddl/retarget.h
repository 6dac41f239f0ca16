/* Statements of the server's own hand, with some relations and functions taken from another schema. */
#ifndef PGRECAST_DDL_RETARGET_H
#define PGRECAST_DDL_RETARGET_H

#include "ddl/plan.h"

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
 * The statement with "schema.name" made "to.name" wherever it stands. A column of that name under an alias
 * like the schema would be taken for it: so this is for trying out, not for statements that must hold.
 * NULL, with err set, for what cannot be read.
 */
char *retarget_statement(const struct retarget *map, const char *sql, struct error *err);

#endif
