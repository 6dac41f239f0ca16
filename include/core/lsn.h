/* Log sequence numbers: a byte position in the write-ahead log, printed as PostgreSQL's pg_lsn
 * ("16/B374D848"). */
#ifndef PGRECAST_CORE_LSN_H
#define PGRECAST_CORE_LSN_H

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t lsn_t; /* 0 is invalid */

#define LSN_TEXT_SIZE 18

/* Writes the text form into out and returns it. */
char *lsn_format(lsn_t lsn, char out[LSN_TEXT_SIZE]);

/* False (and *lsn untouched) when the text is no pg_lsn. */
bool lsn_parse(const char *text, lsn_t *lsn);

#endif
