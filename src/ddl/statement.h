/*
 * The user's SQL as a list of statements that can be run on a clone of the table: parsed by libpg_query (the
 * grammar of PostgreSQL 15), the table's name replaced by that of the clone, everything else left as it was
 * typed.
 *
 * No I/O. Refuses whatever is not an ALTER TABLE of one table, an index of it, or a comment on it
 * (ERROR_USAGE), and clauses that cannot be carried out this way (ERROR_REFUSED), with the way out.
 */
#ifndef PGRECAST_DDL_STATEMENT_H
#define PGRECAST_DDL_STATEMENT_H

#include <stdbool.h>

#include "core/error.h"
#include "ddl/plan.h"

enum statement_kind {
    STATEMENT_ALTER_TABLE,
    STATEMENT_RENAME, /* of a column or a constraint */
    STATEMENT_CREATE_INDEX,
    STATEMENT_INDEX, /* DROP INDEX, ALTER INDEX: names indexes, not the table */
    STATEMENT_COMMENT,
};

/* What a clause costs on a plain server; whether it rewrites is asked of the server, the rest is known. */
enum clause_lock {
    LOCK_ACCESS_EXCLUSIVE,
    LOCK_SHARE_UPDATE_EXCLUSIVE,
    LOCK_SHARE,
    LOCK_SHARE_UPDATE_EXCLUSIVE_SCAN, /* reads the table while others write: VALIDATE CONSTRAINT */
};

#define LAST_CLAUSE_PASS 3

struct clause {
    char *text;   /* as typed */
    char *sql;    /* the clause as a statement of its own on the clone */
    char *column; /* the column it names, or NULL */
    bool has_using;
    char *using_expr;   /* ALTER COLUMN … TYPE … USING: the expression, names redirected; else NULL */
    bool using_literal; /* the expression is one literal without a type, which takes that of the column */
    bool using_cast;    /* it is the column itself, in casts to other types only */
    struct string_list using_columns; /* columns the expression names */
    bool using_row; /* it names the row as a whole, or something that is no column: all columns in doubt */
    bool restarts;  /* ALTER COLUMN … RESTART: the identity sequence starts anew */
    bool sets_tablespace;
    enum clause_lock lock;
    int pass; /* clauses of one ALTER TABLE take effect in this order, whatever the order they are written in
               */
};

/* A relation as typed; schema NULL where it was not given. */
struct typed_name {
    char *catalog; /* of typed_name_parse(): what stands before the schema, or NULL */
    char *schema;
    char *name;
};

struct statement {
    enum statement_kind kind;
    char *text;              /* as typed, trimmed */
    char *sql;               /* runs on the clone */
    struct typed_name table; /* name NULL for STATEMENT_INDEX and comments on an index */
    int index_count;
    struct typed_name *indexes; /* that must belong to the table, where they exist */
    int clause_count;
    struct clause *clauses;
};

struct statement_list {
    int count;
    struct statement *items;
};

/* clone_schema: where the clone will be; its name needs no quotes and occurs nowhere else. */
bool statements_parse(const char *sql, const char *clone_schema, struct statement_list *list,
                      struct error *err);
void statements_free(struct statement_list *list);

/* A name as typed: "schema.name", quoted where needed or not. False (ERROR_USAGE) when it is none. */
bool typed_name_parse(const char *text, struct typed_name *name, struct error *err);
void typed_name_free(struct typed_name *name);

#endif
