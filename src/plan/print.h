/* The parts of a plan set as text for people. */
#ifndef PGRECAST_PLAN_PRINT_H
#define PGRECAST_PLAN_PRINT_H

#include <stdint.h>
#include <stdio.h>

#include "core/error.h"
#include "plan_data/plan.h"

/* Text in lines of at most 100 columns, broken at spaces, each after indent spaces. */
void print_wrapped(FILE *out, int indent, const char *text);

/* "12.0 MB"; the caller frees it. */
char *print_size_text(int64_t bytes);
int64_t print_index_bytes(const struct table *t);
const char *print_lock_name(enum lock_mode lock);

/* What PostgreSQL does for each clause (print_verdicts.c). */
void print_verdicts(const struct plan *p, FILE *out);

/* Steps, locks and needs of the whole job (print_steps.c). */
void print_steps(const struct plan_set *set, FILE *out);
void print_needs(const struct plan_set *set, int64_t disk_free, const char *spool, FILE *out);

/* ERROR_REFUSED if the server's disk has too little room; 0: not known (print_steps.c). */
bool plan_refuse_disk(const struct plan_set *set, int64_t disk_free, struct error *err);

void print_heading(const struct plan_set *set, int table, const char *heading, FILE *out);
void print_plan_rollback(const struct plan_set *set, FILE *out);

/* Statements, one a line. */
void print_list(FILE *out, const struct string_list *list);
void print_planned(FILE *out, const struct planned_list *list);

#endif
