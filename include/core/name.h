/* Names of objects, quoted as identifiers (core/buffer.h). The caller frees what is returned. */
#ifndef PGRECAST_CORE_NAME_H
#define PGRECAST_CORE_NAME_H

#include <stdbool.h>

/* "schema"."name" */
char *name_qualified(const char *schema, const char *name);
char *name_quoted(const char *name);

/* Two texts that may be NULL. */
bool name_same(const char *a, const char *b);

#endif
