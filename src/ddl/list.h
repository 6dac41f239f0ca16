/* Lists of strings that own what they hold. */
#ifndef PGRECAST_DDL_LIST_H
#define PGRECAST_DDL_LIST_H

#include <stdbool.h>

#include "ddl/plan.h"

void list_add(struct string_list *list, char *text); /* takes the text over */
void list_addf(struct string_list *list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void list_add_all(struct string_list *list, const struct string_list *from); /* copies */
bool list_has(const struct string_list *list, const char *text);
void list_free(struct string_list *list);

#endif
