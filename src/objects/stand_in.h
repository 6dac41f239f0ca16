/* Stand-ins on the clone for the other tables of foreign keys. Private to src/objects. */
#ifndef PGRECAST_OBJECTS_STAND_IN_H
#define PGRECAST_OBJECTS_STAND_IN_H

#include "catalog/table.h"
#include "core/error.h"
#include "pg/session.h"

/* *made is false if the table no longer exists. */
bool stand_in_make(struct session *s, const char *schema, oid_t oid, bool *made, struct error *err);

/* The name on the clone of one side of a key: the clone itself, or the stand-in. The schema needs no quotes. */
char *stand_in_side(const struct table *source, const char *schema, oid_t oid);

#endif
