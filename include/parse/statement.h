/*
 * The user's SQL as a list of statements that can be run on a clone of the table. They are parsed by
 * libpg_query (the grammar of PostgreSQL 15). The table's name is replaced by that of the clone; everything
 * else stays as it was typed.
 *
 * What migration files have around their statements is passed over: transactions, timeouts, lines for psql.
 *
 * No I/O. Refuses whatever else is not an ALTER TABLE of one table, a statement on one of its indexes, or a
 * comment on it (ERROR_USAGE), and clauses that cannot be carried out this way (ERROR_REFUSED), with what to
 * do instead. In an SQL of several statements the place is named.
 */
#ifndef PGRECAST_PARSE_STATEMENT_H
#define PGRECAST_PARSE_STATEMENT_H

#include <stdbool.h>

#include "core/error.h"
#include "core/list.h"
#include "core/lock_mode.h"

enum statement_kind {
    STATEMENT_ALTER_TABLE,
    STATEMENT_RENAME, /* of a column or a constraint */
    STATEMENT_CREATE_INDEX,
    STATEMENT_INDEX, /* DROP INDEX, ALTER INDEX: names indexes, not the table */
    STATEMENT_COMMENT,
    STATEMENT_BACKFILL, /* UPDATE of a column that was added before it (src/parse/backfill.h) */
    STATEMENT_SEQUENCE, /* ALTER SEQUENCE AS: names a sequence, which a column of the table owns */
};

#define LAST_CLAUSE_PASS 3

struct clause {
    char *text;         /* as typed */
    char *sql;          /* the clause as a statement of its own on the clone */
    char *column;       /* the column it names, or NULL */
    char *added_column; /* ADD COLUMN: its name, else NULL … */
    char *added_type;   /* … and its type, with COLLATE */
    bool updates;       /* a backfill: PostgreSQL would update every row */
    bool has_using;
    char *using_expr; /* ALTER COLUMN … TYPE … USING: the expression, with the clone's name; else NULL */
    bool using_literal; /* the expression is one literal without a type, which gets the type of the column */
    bool using_cast;    /* the expression is the column itself, with nothing but casts to other types */
    char *using_zone;   /* the expression is the column itself AT TIME ZONE this constant; else NULL */
    struct string_list using_columns; /* columns the expression names */
    /* it names the row as a whole, or something that is no column, so it may read any column */
    bool using_row;
    bool restarts;            /* ALTER COLUMN … RESTART: the identity sequence restarts */
    bool sets_type;           /* ALTER COLUMN … TYPE */
    bool drops_column;        /* DROP COLUMN, without CASCADE */
    bool adds_key;            /* a foreign key */
    char *dropped_constraint; /* DROP CONSTRAINT: its name, else NULL */
    bool concurrent;          /* CREATE or DROP INDEX CONCURRENTLY */
    bool on_index;            /* the lock is on an index, not on the table */
    bool sets_tablespace;
    enum lock_mode
        /* on a plain server. The server is asked whether the clause rewrites the table; the rest is known */
        lock;
    bool scans; /* reads the table under that lock: VALIDATE CONSTRAINT, ADD FOREIGN KEY */
    /* the clauses of one ALTER TABLE take effect in this order, in whatever order they are written */
    int pass;
};

/* A relation as typed; schema is NULL if none was typed. */
struct typed_name {
    char *catalog; /* set by typed_name_parse(): what stands before the schema, or NULL */
    char *schema;
    char *name;
};

struct statement {
    enum statement_kind kind;
    char *text;              /* as typed, trimmed */
    char *sql;               /* runs on the clone */
    bool missing_ok;         /* IF EXISTS: without the relation there is nothing to do */
    struct typed_name table; /* name NULL for STATEMENT_INDEX and comments on an index */
    int index_count;
    struct typed_name
        /* indexes that must belong to the table, if they exist; for STATEMENT_SEQUENCE the sequence */
        *indexes;
    int clause_count;
    struct clause *clauses;
};

/* A value that a history change writes or looks for. */
struct history_value {
    char *column;
    char *sql; /* the constant as SQL, or the time of the transaction */
    bool null;
    bool now; /* it is the time, so the row cannot be found by it */
};

struct history_row {
    int count;
    struct history_value *items;
};

enum history_kind { HISTORY_INSERT, HISTORY_UPDATE, HISTORY_DELETE };

/* A change of rows of another table, in which a migration tool notes what it has done. */
struct history_change {
    enum history_kind kind;
    char *text; /* as typed */
    struct typed_name table;
    int row_count;
    struct history_row *rows; /* INSERT: one or more; UPDATE: one, what it sets; DELETE: none */
    struct history_row where; /* UPDATE and DELETE: each column equals the constant */
};

struct history_list {
    int count;
    struct history_change *items;
};

void history_free(struct history_list *list);

/* Whether a common migration tool has a table of this name. */
bool history_is_known(const struct typed_name *table);

/*
 * In the statements' SQL, the tables that new foreign keys refer to are called REFERENCED_TABLE followed by four
 * digits, in the clone's schema, all quoted. The digits are the position in .referenced. A key that names the
 * table as the statement does refers to the clone.
 */
#define REFERENCED_TABLE "pgrecast_referenced_"

struct statement_list {
    int count;
    struct statement *items;
    struct string_list
        ignored;       /* as typed: BEGIN, SET lock_timeout and others that have no meaning in a job */
    char *search_path; /* that the SQL sets, as set_config() takes it; NULL: it sets none */
    int referenced_count;
    struct typed_name *referenced; /* as typed */
    struct history_list history;   /* not among .items */
};

/* clone_schema: where the clone will be; its name needs no quotes and occurs nowhere else. */
bool statements_parse(const char *sql, const char *clone_schema, struct statement_list *list,
                      struct error *err);
void statements_free(struct statement_list *list);

/* A name as typed: "schema.name", quoted or not. False (ERROR_USAGE) if the text is no such name. */
bool typed_name_parse(const char *text, struct typed_name *name, struct error *err);
void typed_name_free(struct typed_name *name);

#endif
