/* What a session tells its group (pg/group.h). Internal to pg. */
#ifndef PGRECAST_PG_GROUP_MEMBERS_H
#define PGRECAST_PG_GROUP_MEMBERS_H

#include "pg/group.h"

void group_add(struct session_group *g, int pid);
void group_remove(struct session_group *g, int pid);

/* The session waits for an answer. Does nothing in other threads than the group's. */
void group_wait(struct session_group *g, struct session *s, int64_t waited_ms);

#endif
