/*
 * The request to stop. Signal handlers set a flag and wake every wait through one pipe; nothing else happens
 * in them. The first SIGINT or SIGTERM asks for a stop in order; the second ends the process where it is.
 */
#ifndef PGRECAST_CORE_STOP_H
#define PGRECAST_CORE_STOP_H

#include <stdbool.h>

void stop_install(void);

/* Ask for a stop from inside the program (a failed thread); the same as one SIGTERM. */
void stop_request(void);
bool stop_requested(void);

/* Readable from the first request on, for poll(); -1 before stop_install(). */
int stop_fd(void);

/* Work that must not be interrupted (clean-up) runs between these two: stop_requested() is false inside. */
void stop_hold(void);
void stop_release(void);

#endif
