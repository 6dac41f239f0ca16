/* The parts of a plan set as text for people. */
#ifndef PGRECAST_DDL_PRINT_H
#define PGRECAST_DDL_PRINT_H

#include "ddl/plan.h"

void print_heading(const struct plan_set *set, int table, const char *heading, FILE *out);
void print_way_back(const struct plan_set *set, FILE *out);

/* Statements, a line each. */
void print_list(FILE *out, const struct string_list *list);

#endif
