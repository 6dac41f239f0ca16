/*
 * Privileges that others grant or revoke on an active table while a job runs. The inactive table has none, so the plan of the
 * swaps is changed (plan_set_privileges()). Internal to the job.
 */
#ifndef PGRECAST_JOB_CARRY_GRANTS_H
#define PGRECAST_JOB_CARRY_GRANTS_H

#include "engine.h"

/*
 * before, now: the former and the present definition of the active table. Gives what plan_set_privileges() needs, to be
 * freed by table_free(). *exact is set to false if swaps cannot move what was changed. NULL on an error.
 */
struct table *carry_grants(struct engine *e, int table, const char *before, const char *now, bool *exact,
                           struct error *err);

#endif
