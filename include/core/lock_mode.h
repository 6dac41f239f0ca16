/* The locks that statements take on tables, weakest first (PostgreSQL manual, 13.3.1), as far as they occur.
 */
#ifndef PGRECAST_CORE_LOCK_MODE_H
#define PGRECAST_CORE_LOCK_MODE_H

enum lock_mode {
    LOCK_NONE,
    LOCK_ROW_EXCLUSIVE,          /* of every write: reads and writes continue */
    LOCK_SHARE_UPDATE_EXCLUSIVE, /* reads and writes continue */
    LOCK_SHARE,                  /* writes wait */
    LOCK_SHARE_ROW_EXCLUSIVE,    /* writes wait */
    LOCK_ACCESS_EXCLUSIVE,       /* reads and writes wait */
};

#endif
