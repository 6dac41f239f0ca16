/* The status of jobs as text for people and as JSON for programs. */
#ifndef PGRECAST_CONTROL_PRINT_STATUS_H
#define PGRECAST_CONTROL_PRINT_STATUS_H

#include <stdio.h>

#include "state/status.h"

/*
 * "the new table is active", and, where the job has ended, what became of the other table. The caller frees it.
 */
char *status_active_text(const struct job_status *job);

/* connection: for the commands (core/command.h). */
void status_print(const struct job_status *job, const char *connection, FILE *out); /* a paragraph */
void status_print_list(const struct status_list *list, FILE *out); /* a line for each job, for `jobs` */
void status_print_json(const struct status_list *list, const char *connection,
                       FILE *out); /* an array with an object for each job */

#endif
