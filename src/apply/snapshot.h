/* A snapshot as pg_current_snapshot() prints it: xmin:xmax:running,… Pure. Internal to the apply. */
#ifndef PGRECAST_APPLY_SNAPSHOT_H
#define PGRECAST_APPLY_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

struct snapshot;

struct snapshot *snapshot_parse(const char *text); /* NULL when the text is not a snapshot */
void snapshot_free(struct snapshot *s);            /* NULL-safe */

/* Whether the snapshot sees this top-level transaction, given that it has committed. */
bool snapshot_sees(const struct snapshot *s, uint64_t xid);
uint64_t snapshot_xmax(const struct snapshot *s);

#endif
