/* A table's definition as people write it, for a target file. */
#ifndef PGRECAST_PLAN_TABLE_DDL_H
#define PGRECAST_PLAN_TABLE_DDL_H

#include "catalog/table.h"
#include "core/buffer.h"

/* What is to differ from the table as it is. */
struct table_ddl {
    const struct table *table;
    const char *partition_by; /* the clause without its first words */
    const char *column;       /* that unique keys have to contain */
    bool extend_key;          /* they get it; else one that lacks it is a reason to refuse */
    struct string_list *notes;
    struct string_list *reasons;
};

/* CREATE TABLE with the columns, constraints and the clause. What such a text cannot say is added to the reasons. No I/O. */
void table_ddl_create(const struct table_ddl *d, struct buffer *out);

/* CREATE INDEX, and the constraints that are NOT VALID. */
void table_ddl_parts(const struct table_ddl *d, struct buffer *out);

#endif
