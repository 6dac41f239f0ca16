/* Statements about one table of a job. Internal to the state. */
#ifndef PGRECAST_STATE_TABLE_H
#define PGRECAST_STATE_TABLE_H

#include "pg/params.h"
#include "state/position.h"

/* Their first two parameters: $1 the job, $2 the number of the table. */
struct params state_table_params(const struct state_table *table);

#endif
