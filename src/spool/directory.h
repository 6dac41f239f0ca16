/* The directory of a spool: made, locked. Removing it is spool_remove(). */
#ifndef PGRECAST_SPOOL_DIRECTORY_H
#define PGRECAST_SPOOL_DIRECTORY_H

#include <stdbool.h>

#include "core/error.h"

/* mkdir -p. What it makes is the user's alone, for a spool holds rows of tables. */
bool directory_make(const char *directory, struct error *err);

/* Open, and lock against a second writer for as long as the descriptor is open. -1 on failure. */
int directory_open_locked(const char *directory, struct error *err);

#endif
