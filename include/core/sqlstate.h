/*
 * The program's own SQLSTATEs, in err->sqlstate. They begin with PG, a class that the server does not use.
 * GUARD_REFUSES and those of PLANNED_ are raised on the server; the others never leave the program.
 */
#ifndef PGRECAST_CORE_SQLSTATE_H
#define PGRECAST_CORE_SQLSTATE_H

#define JOB_LOCKED "PGRJ1"       /* another instance has the job */
#define JOB_OTHER_FORMAT "PGRJ2" /* another version of the program wrote the job's row */
#define JOB_STANDBY "PGRJ3"      /* the server is a standby */
#define JOB_WINDOW_OVER "PGRJ4"  /* to resume the job would drop a table: the user has to confirm that */
/* raised by the guard of an inactive table: the session does not belong to the job */
#define GUARD_REFUSES "PGRG1"
#define VERIFY_REWRITTEN "PGRW1" /* a table got new storage since its snapshot: it has to be compared anew */
#define PLANNED_DONE "PGRP1"     /* what the planned statement is for has been done already */
#define PLANNED_UNLIKE "PGRP2"   /* an expression that was created again does not mean the same */

#endif
