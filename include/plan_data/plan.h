/*
 * The plan of one job, as data: what the user's SQL makes of its tables, and every statement that the program
 * will run for it. The modules rows, objects and plan fill it; the stages read it. It has no functions.
 */
#ifndef PGRECAST_PLAN_DATA_PLAN_H
#define PGRECAST_PLAN_DATA_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "catalog/table.h"
#include "core/list.h"
#include "core/lock_mode.h"

enum column_origin {
    COLUMN_FROM_ROW,  /* an expression over the source row, or a plain copy of a column */
    COLUMN_CONSTANT,  /* added with a default that is evaluated once: every row gets this value */
    COLUMN_GENERATED, /* the server computes it (stored or virtual) */
    /* added with a volatile default (or identity, serial): made once per row and kept from then on */
    COLUMN_DEFAULT,
};

struct plan_column {
    char *name; /* final name */
    char *type; /* the type to cast a value to */
    enum column_origin origin;
    /* COLUMN_FROM_ROW: indexed by position in plan.source->columns; NULL for the other kinds */
    bool *depends_on;
    bool plain; /* the source column itself, without a USING (its type may still change) */
    /*
     * A row that exists already keeps the value that it has; the expression is only used for a new row. (A
     * COLUMN_DEFAULT always works so.) Not compared.
     */
    bool kept;
};

/* A column by which a row is found: in the source, in the change stream and in the shadow. */
struct plan_key_column {
    int source; /* position in plan.source->columns */
    char *source_name;
    char *type;        /* type in the source, which is the type of the values in the stream */
    char *collation;   /* of the source's column, if it is not the default of its type; else NULL */
    char *shadow_name; /* the target's own column, or a hidden one that the swap drops */
    bool hidden;
    /* the equality operator of the key's index, "OPERATOR(pg_catalog.=)"; NULL: plain "=" is right */
    char *source_equals;
    char *shadow_equals;
    char *source_collation; /* of that index; NULL if the type has no collation */
    char *shadow_collation;
    /*
     * Set if the shadow's column cannot hold every value $1 of the source's type, so that a cast of $1 to the
     * column's type would fail or find another row: the expression that the column is compared with instead.
     * Else NULL.
     */
    char *shadow_value;
};

/* One statement that builds an index or adds a constraint that builds one, after the copy. */
struct plan_index {
    char *name;       /* of the index on the shadow, until the swap */
    char *final_name; /* NULL: the index is only for the apply, and the swap drops it */
    char *sql;
    /* size of the corresponding index on the source, 0 for a new one: the largest are built first */
    int64_t bytes;
    bool key;       /* the index by which the apply finds rows: built before all others */
    bool late;      /* a value that is gone by now may violate it: built after the start barrier is passed */
    bool exclusive; /* it locks the shadow, so it runs alone, after all others */
};

/* The names of an index of the original and of the one like it on the new table. */
struct plan_index_names {
    const char *active;   /* the name that the active table's has */
    const char *original; /* of the original's index while the original is inactive */
    const char *made;     /* of the new table's while that is inactive */
};

/* What the tables are called. */
struct plan_names {
    char *source_sql;  /* quoted, qualified: "public"."t" */
    char *shadow_name; /* TABLE_pgrecast_new, cut to 63 bytes at a character */
    char *old_name;    /* TABLE_pgrecast_old, likewise */
    char *shadow_sql;  /* quoted, qualified */
    char *old_sql;
};

/*
 * Comparing rows. Two select lists of equal length and equal types, of canonical values (values without a
 * dependable binary form are compared as text). The key's key_count items come first, in one type for both
 * sides. The source's list is over pgrecast_src and pgrecast_new, with .transform; the shadow's is over alias
 * pgrecast_row.
 */
struct plan_comparison {
    char *transform;
    char *source;
    char *shadow;
    int count;
    char *encoding;    /* of the database, if it is not UTF-8: texts are compared as their bytes */
    bool texts_differ; /* the evaluation settings write text otherwise than the transport settings */
    /* names of the columns that are made once per row, which have no value to compare with */
    struct string_list left_out;
    /*
     * Stored generated columns whose values ALTER TABLE would keep. They are compared with the values that
     * the source's rows hold, because the shadow's are computed when a row is written and the server accepts
     * no other value. The SELECT is used as .transform is. It gives d1, d2, … for the columns of the list:
     * whether the row holds another value than the expression gives now. NULL if there are no such columns.
     */
    struct string_list stored;
    char *stored_differ;
};

/*
 * Moving rows, and comparing them: exactly what plan_set_remap() makes anew.
 *
 * The insert list names the shadow's columns that get a value. Hidden key columns come last; generated
 * columns and those with a volatile default are left out. transform_insert is a SELECT that reads nothing but
 * the alias pgrecast_src, a row of the source's columns under their own names. It gives the values in the
 * order of the list, and is used as
 *
 *   INSERT INTO shadow (insert_columns) OVERRIDING SYSTEM VALUE
 *   SELECT pgrecast_new.*
 *   FROM <rows> AS pgrecast_src CROSS JOIN LATERAL (transform_insert) AS pgrecast_new
 *
 * Values go through assignment casts there, as with ALTER TABLE.
 */
struct plan_rows {
    int column_count;
    struct plan_column *columns; /* of the target, in order */
    char *insert_columns;
    char *transform_insert;
    int insert_count;
    /*
     * For each item of the list: its position in columns, or -1 - (position in plan.key) for a hidden key
     * column.
     */
    int *insert_origin;
    struct plan_comparison compare;
};

/*
 * Statements other than those of indexes, in the order in which they run. They are plain text: the program runs and
 * prints them, and never asks what one of them is. create, finish_shadow and drop_old lock only the shadow and the
 * inactive table. The statements of swap get their kind and their locks as part of struct plan_swap.
 */
struct plan_statements {
    struct string_list create; /* shadow, its sequences, storage, comments; no index */
    /* Before the cutover, without a lock that users notice: constraints, statistics, comments. */
    struct string_list finish_shadow;
    /*
     * This table's part of the swap (see struct plan_swap): the source is renamed to old_name, the shadow
     * gets the source's name, sequences move and are set.
     */
    struct string_list swap;
    /* At the end: drops the inactive table, by its oid (state/ledger.h). */
    struct string_list drop_old;
};

/* What PostgreSQL itself does for a clause of ALTER TABLE. */
enum verdict_kind {
    VERDICT_CATALOG_ONLY,
    VERDICT_SCANS,
    VERDICT_BUILDS_INDEX,
    VERDICT_REWRITES,
    VERDICT_UPDATES, /* UPDATE: writes every row anew, and locks it until the transaction ends */
    VERDICT_MOVES,   /* copies the table to another tablespace */
    VERDICT_BY_HAND, /* it has no command for it */
    VERDICT_REFUSED, /* it refuses the clause on the table, because something depends on the column */
};

struct plan_verdict {
    char *clause; /* as typed */
    enum verdict_kind kind;
    enum lock_mode lock; /* held while PostgreSQL carries out the clause */
    bool on_index;       /* that lock is on an index, not on the table */
    bool concurrent;     /* CONCURRENTLY: waits for transactions, without a lock that they notice */
    char *users;         /* VERDICT_REFUSED: what depends on the column; else NULL */
};

struct plan_verdict_list {
    int count;
    struct plan_verdict *items;
};

/* Text for people. */
struct plan_advice {
    struct plan_verdict_list verdicts; /* one for each clause */
    struct string_list notes;          /* advice */
    struct string_list warnings;       /* also written to the log by run */
};

/*
 * Whose functions may run with the rights of the session's role (rows/code.h). All members but .allowed
 * belong to the current session: a job that another role resumes gets them anew (plan_set_trust()).
 */
struct plan_code {
    bool foreign;               /* the table is owned by another role */
    struct string_list trusted; /* roles */
    /* oids of functions that plain ALTER TABLE, too, runs as the session's role */
    struct string_list allowed;
};

struct plan {
    struct table *source;
    struct table *target; /* the clone after the user's statements; its oids have no meaning */
    char *sql;            /* the user's statements on the table, or NULL for a rebuild */
    /*
     * Only rows of the source for which this is true are in the target: a SELECT of c1 without its FROM, over a row
     * with these columns of the source. NULL: all rows.
     */
    char *filter;
    struct string_list filter_columns;
    struct plan_names names;
    int key_count;
    struct plan_key_column *key;
    struct plan_rows rows;
    int index_count;
    struct plan_index *indexes; /* key first, then largest first, those that run alone last */
    struct plan_statements statements;
    struct plan_advice advice;
    struct plan_code code;
};

/* What a statement of a swap is for. This decides how it is run, and what its failure means. */
enum planned_kind {
    PLANNED_LOCK,       /* taken before the locks of the tables */
    PLANNED_DETACH,     /* removes what depends on the tables */
    PLANNED_EXCHANGE,   /* exchanges the names of the tables and of everything named after them */
    PLANNED_PRIVILEGES, /* moves the privileges of other roles from the one table to the other */
    PLANNED_ATTACH,     /* makes again what depends on the tables */
    PLANNED_PROVE,      /* checks that what was made again has the same meaning */
    PLANNED_GRANT,      /* gives the owner a privilege for a moment, or takes it again */
    PLANNED_VALIDATE,   /* validates a foreign key that is NOT VALID */
    /* keys of partitions that were made since the plan; gives up soon if it has to wait for a lock */
    PLANNED_EACH_PART,
    /*
     * A partitioned table's own key takes over its partitions' keys. Raises PLANNED_DONE if that is done
     * already. Takes its locks within a statement_timeout of its own. Useless while one of the partitions'
     * keys is not valid.
     */
    PLANNED_TAKE_OVER,
    PLANNED_COMMENT,
    /* changes exactly one row of a table in which a migration tool notes its migrations */
    PLANNED_HISTORY,
    PLANNED_HISTORY_BACK, /* the inverse, in a rollback: a row that is not there any more is no obstacle */
};

struct planned {
    enum planned_kind kind;
    /* the strongest lock that it takes beyond those already held; LOCK_NONE: no further lock */
    enum lock_mode lock;
    char *sql;     /* one or several statements, run as one */
    char *by_hand; /* what a person would type instead; NULL: the same as sql */
};

struct planned_list {
    int count;
    struct planned *items;
};

/*
 * A view or materialized view that is created over the shadows before the cutover. The swaps exchange its name, and the names
 * of its indexes and extended statistics, with those of the original.
 */
struct plan_early {
    char *description;
    char *name;                     /* these three are qualified, and quoted where necessary */
    char *new_name;                 /* of the one over the new tables, while the originals are active */
    char *old_name;                 /* of the original, while the new tables are active */
    bool stores;                    /* a materialized view */
    char *owner;                    /* quoted where necessary */
    struct string_list to_new;      /* the renames of a cutover … */
    struct string_list to_original; /* … and of a rollback */
};

/* A swap of the whole job: all its tables and what depends on them. */
struct plan_swap {
    struct string_list first_locks; /* with those of the inactive tables: nobody uses what they lock */
    /* taken before the locks of the tables, in this order, each as one statement */
    struct planned_list locks;
    struct string_list locked;      /* the oids of the objects that they lock */
    struct planned_list statements; /* in the cutover's transaction, with all locks held */
    /*
     * After the commit, each in a transaction of its own, and again if it is not known that it was done.
     * Without long locks they complete what the swap could only begin (constraints that are NOT VALID).
     */
    struct planned_list validate;
    int validated_keys; /* how many foreign keys .validate covers; each may take several statements */
};

/*
 * The plans of a table, one for each direction in which changes can flow. All have the same shape: .source is
 * the active table, whose changes are followed; the shadow is the inactive table, which is kept in sync and
 * becomes active by .swap.
 *   forward  original -> new table, from the start: the copy and all that follows, up to the cutover.
 *   back     new table -> original, after a cutover. .source has no oid yet (it is the new table's). A value
 *            that the original's type cannot hold exactly is an error of the row (error_is_of_a_row()), so
 *            that a value that goes to the original and back is unchanged. Columns that the new table lacks
 *            are .kept or COLUMN_DEFAULT. Only rows that changed since the cutover are compared: the change
 *            may have lost something of the other rows (a timestamp that became a date), which the original
 *            still has.
 *   again    original -> new table, after a rollback. Like forward, but the rows exist already, and columns
 *            that only the new table has are .kept. Only rows that changed since the rollback are compared:
 *            a value that a --reverse-map gave the original need not become the same value again.
 *   proof    for comparing all rows while the new table is active. Its .source is the original (under its
 *            old_sql name), its shadow the new table. Only what verify needs of a plan is set. Columns that
 *            one side lacks, or that a --reverse-map fills, are not compared.
 *
 * With maps of plan_set_remap() the original may hold less than the new table: then again does not compare
 * the mapped columns. A row that is not changed after the rollback keeps the values that the new table had in
 * them.
 *
 * back and proof are NULL without plan_options.rollback. again is NULL also if a second cutover is not
 * possible (.why_not_again).
 */
struct plan_table {
    struct plan *forward;
    struct plan *back;
    struct plan *again;
    struct plan *proof;
    char *why_not_again; /* a clause, or NULL */
};

/*
 * All tables of a job. They change direction together: for a given direction either all tables have a plan,
 * or none has.
 */
struct plan_set {
    int first; /* position of the table that was named first: the job gets its name */
    int table_count;
    /* in the order of their oids, which is the order in which they are locked */
    struct plan_table *tables;
    int early_count;
    struct plan_early *early; /* each after those that it depends on */
    /* creates them without rows, in one transaction; scratch schemas exist only in it */
    struct string_list early_create;
    struct plan_swap *cutover;       /* to the new tables */
    struct plan_swap *rollback;      /* to the originals; NULL like back */
    struct plan_swap *cutover_again; /* to the new tables, after a rollback; NULL if again is NULL */
    struct string_list reverse_maps; /* in force, as typed */
    /* tables of migration tools that the swaps write, quoted and qualified (PLANNED_HISTORY) */
    struct string_list written;
    char *search_path;          /* that the SQL sets, as set_config() takes it; NULL: none */
    bool recompute_generated;   /* stored generated columns may get other values */
    struct string_list trusted; /* roles that were trusted when the job was started … */
    char *trusted_by;           /* … by this one */
};

#endif
