/*
 * The request to stop. Signal handlers set a flag and wake every wait through one pipe, and do nothing else.
 * The first SIGINT, SIGTERM or SIGHUP asks for an orderly stop. A second one that comes at least a second later
 * ends the process at once. SIGHUP is ignored if it was ignored when the program started (nohup).
 */
#ifndef PGRECAST_CORE_STOP_H
#define PGRECAST_CORE_STOP_H

#include <stdbool.h>

void stop_install(void);

/* What is written when the second signal ends the process. The text is not copied. NULL: nothing. */
void stop_set_message(const char *message);

/* Ask for a stop from within the program (after a thread has failed); the same as one SIGTERM. */
void stop_request(void);
bool stop_requested(void);

/* Readable after the first request, for poll(); -1 before stop_install(). */
int stop_fd(void);

/*
 * Work that must not be interrupted (clean-up) is enclosed in these two: stop_requested() is false in
 * between.
 */
void stop_hold(void);
void stop_release(void);

#endif
