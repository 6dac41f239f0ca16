/* Stand-ins on the clone for the other tables of foreign keys. Private to src/objects. */
#ifndef PGRECAST_OBJECTS_STAND_IN_H
#define PGRECAST_OBJECTS_STAND_IN_H

#include "catalog/table.h"
#include "core/error.h"
#include "pg/session.h"

/* A stand-in of this name, qualified, for the table. *made is false if the table no longer exists. */
bool stand_in_make(struct session *s, const char *name, oid_t oid, bool *made, struct error *err);

/* The name on the clone of one side of a key: the clone itself, or the stand-in. The schema needs no quotes. */
char *stand_in_side(const struct table *source, const char *schema, oid_t oid);

/* The name of the stand-in for another table of the job as its statements leave it. */
char *stand_in_changed_name(const char *schema, oid_t oid);

#endif
