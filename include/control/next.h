/*
 * What a user can do next with a job: the commands that succeed in its present state, the recommended one
 * first. A command that drops a table says so, and is never the first one while something else is possible.
 */
#ifndef PGRECAST_CONTROL_NEXT_H
#define PGRECAST_CONTROL_NEXT_H

#include "state/status.h"

#define NEXT_MOST 4

struct next_list {
    int count;
    struct next_command {
        const char *purpose; /* "to go back"; static */
        char *command;       /* complete (core/command.h) */
    } items[NEXT_MOST];
};

/* connection: as for command_expand(). Release with next_list_free(). */
void next_list_make(const struct job_status *job, const char *connection, struct next_list *out);
void next_list_free(struct next_list *list);

#endif
