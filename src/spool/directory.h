/* The directory of a spool: create and lock it. spool_remove() removes it. */
#ifndef PGRECAST_SPOOL_DIRECTORY_H
#define PGRECAST_SPOOL_DIRECTORY_H

#include <stdbool.h>

#include "core/error.h"

/* mkdir -p. Only the user may read what it creates, because a spool holds rows of tables. */
bool directory_make(const char *directory, struct error *err);

/*
 * Open the directory, and lock it against a second writer as long as the descriptor is open. -1 on failure.
 */
int directory_open_locked(const char *directory, struct error *err);

#endif
