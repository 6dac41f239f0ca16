/* Lists of planned statements (plan_data/plan.h). */
#ifndef PGRECAST_OBJECTS_PLANNED_H
#define PGRECAST_OBJECTS_PLANNED_H

#include "core/list.h"
#include "plan_data/plan.h"

/* sql is taken over. */
void planned_add(struct planned_list *list, enum planned_kind kind, enum lock_mode lock, char *sql);

/* A copy, if the list does not have it. */
void planned_add_once(struct planned_list *list, enum planned_kind kind, enum lock_mode lock,
                      const char *sql);

/* Copies of all of them. */
void planned_add_all(struct planned_list *list, enum planned_kind kind, const struct string_list *from);

/* Behind the last one of a kind: the position. */
int planned_end(const struct planned_list *list, enum planned_kind kind);

/* Copies of all of them, from that position on. */
void planned_insert_all(struct planned_list *list, int at, enum planned_kind kind,
                        const struct string_list *from);

/* Remove those statements of this kind, which stand one behind the other. False if there are none. */
bool planned_remove_run(struct planned_list *list, enum planned_kind kind, const struct string_list *run);

/* Remove all of the kind. */
void planned_remove(struct planned_list *list, enum planned_kind kind);

#endif
