/*
 * The plan of one job: what the user's SQL makes of its tables, and every statement the program will run for
 * it.
 *
 * How it comes about: in a transaction that is always rolled back, an empty clone of each table under the
 * same name in a scratch schema of its own takes the user's statements on it, run by the server; what the
 * catalogs then say of the clone is the target. Names, types and properties are therefore those that ALTER
 * TABLE gives, by construction. A column of the target comes from the source column of the same attnum
 * (renames and type changes keep it), or was added.
 *
 * Refuses (ERROR_REFUSED), with the reason and the way out: whatever cannot be carried over or done right.
 * `plan` prints exactly what `run` executes.
 */
#ifndef PGRECAST_DDL_PLAN_H
#define PGRECAST_DDL_PLAN_H

#include <stdbool.h>
#include <stdio.h>

#include "catalog/table.h"
#include "core/error.h"
#include "core/list.h"
#include "pg/session.h"

struct plan_options {
    const char *sql;           /* the user's statements, or NULL with rebuild */
    const char *rebuild_table; /* as typed, maybe qualified and quoted; or NULL */
    bool rebuild_invalid;      /* an invalid index is no reason to refuse */
    bool accept_published;     /* nor are publications that the working tables come under by themselves */
    bool way_back;             /* a rollback must be possible: what stands against it refuses */
    int reverse_map_count;
    /* "column=expression": a column of the original from the new table's; "table.column=expression" */
    const char *const *reverse_maps;
};

enum column_origin {
    COLUMN_FROM_ROW,  /* an expression over the source row; also a plain copy */
    COLUMN_CONSTANT,  /* added with a default that is evaluated once: every row gets this value */
    COLUMN_GENERATED, /* the server computes it (stored or virtual) */
    COLUMN_DEFAULT, /* added with a volatile default (or identity, serial): made once per row, kept ever after
                     */
};

struct plan_column {
    char *name; /* final name */
    char *type; /* for casts */
    enum column_origin origin;
    bool *depends_on; /* COLUMN_FROM_ROW: by position in plan.source->columns; NULL for the others */
    bool plain;       /* the source column itself, without a USING (its type may still change) */
    /*
     * A row that is there already keeps the value it has; only a new row takes the expression. (Of a
     * COLUMN_DEFAULT that is so anyway.) Not compared.
     */
    bool kept;
};

/* A column by which a row is found: in the source, in the change stream and in the shadow. */
struct plan_key_column {
    int source; /* position in plan.source->columns */
    char *source_name;
    char *type;        /* type in the source: of the values in the stream */
    char *collation;   /* of the source's column, where it is not the type's own; else NULL */
    char *shadow_name; /* the target's own column, or a hidden one that the swap drops */
    bool hidden;
    char *source_equals; /* the key index's equality, "OPERATOR(pg_catalog.=)"; NULL: "=" will do */
    char *shadow_equals;
    char *source_collation; /* of that index, or NULL where the type has none */
    char *shadow_collation;
    /*
     * What the shadow's column is compared with, for a value $1 of the source's type, where a cast to the
     * column's type would fail, or find another row, for a value that it cannot hold; else NULL.
     */
    char *shadow_value;
};

/* One statement that builds an index or adds a constraint that builds one, after the copy. */
struct plan_index {
    char *name;       /* of the index on the shadow while it lasts */
    char *final_name; /* NULL: only for the apply, dropped in the swap */
    char *sql;
    int64_t bytes;  /* of its like on the source, 0 for a new one: the largest go first */
    bool key;       /* the one the apply finds rows by: built before all others */
    bool late;      /* a value may violate it that is gone by now: built when the start barrier is passed */
    bool exclusive; /* must run alone (it locks the shadow): after all others */
};

struct plan {
    struct table *source;
    struct table *target; /* the clone after the user's statements; oids are void */
    char *sql;            /* the user's statements on the table, or NULL for a rebuild */
    char *source_sql;     /* quoted, qualified: "public"."t" */
    char *shadow_name;    /* TABLE_pgrecast_new, cut to 63 bytes at a character */
    char *old_name;       /* TABLE_pgrecast_old, likewise */
    char *shadow_sql;     /* quoted, qualified */
    char *old_sql;

    int column_count;
    struct plan_column *columns; /* of the target, in order */
    int key_count;
    struct plan_key_column *key;

    /*
     * Moving rows. The insert list names the shadow's columns that get a value (hidden key columns last;
     * generated and volatile-default ones left out). transform_insert is a SELECT without FROM-items of its
     * own but the alias pgrecast_src (a row of the source's columns under their own names) that gives them in
     * that order, to be used as INSERT INTO shadow (insert_columns) OVERRIDING SYSTEM VALUE SELECT
     * pgrecast_new.* FROM <rows> AS pgrecast_src CROSS JOIN LATERAL (transform_insert) AS pgrecast_new Values
     * go through assignment casts there, as with ALTER TABLE.
     */
    char *insert_columns;
    char *transform_insert;
    int insert_count;
    int *insert_origin; /* per item of the list: position in columns, or -1 - (position in key) for a hidden
                           one */
    /*
     * Comparing rows: two select lists of equal length and types, of canonical values (those without a
     * dependable binary form as text), the key first (key_count items, in one type for both). The source's
     * is over pgrecast_src and pgrecast_new with transform_compare; the shadow's over alias pgrecast_row.
     */
    char *transform_compare;
    char *compare_source;
    char *compare_shadow;
    int compare_count;
    struct string_list not_compared; /* names of the columns made once per row, which have no counterpart */

    /* Statements, in the order they run. */
    struct string_list create; /* shadow, its sequences, storage, comments; no index */
    int index_count;
    struct plan_index *indexes; /* key first, then largest first, exclusive ones last */
    struct string_list
        finish_shadow; /* before the cutover, no lock anyone feels: owner, grants, statistics, comments */
    struct string_list swap;     /* this table's part of the swap (see struct plan_swap); the source becomes
                                    old_name, the shadow takes its name; sequences move and are set */
    struct string_list drop_old; /* after the cutover: drops the original */
    struct string_list drop_shadow; /* abort */

    /* For people. */
    bool needs_rewrite; /* PostgreSQL itself would rewrite the table for at least one clause */
    struct string_list
        clauses;              /* per clause: its text and what PostgreSQL does for it: "rewrites the table",
                                 "changes the catalog only (ACCESS EXCLUSIVE, instant)", "scans the table", … */
    struct string_list notes; /* advice, warnings */
};

/*
 * How some of what follows a swap begins: with PLAN_LOCKS several statements in one string, up to PLAN_LOCKED
 * to look whether that is done and to take locks, and the last to make a partitioned table's own key out of
 * its partitions'; with PLAN_EACH_PART what must not wait for locks for long.
 */
#define PLAN_LOCKS "DO $pgrecast_key$ "
#define PLAN_LOCKED "SET LOCAL statement_timeout TO 0; "
#define PLAN_EACH_PART "DO $pgrecast$ "

/* A swap of the whole job: all its tables and what hangs on them. */
struct plan_swap {
    struct string_list locks;      /* taken before those of the tables, in this order, each one statement */
    struct string_list locked;     /* the oids of what they lock */
    struct string_list statements; /* in the cutover's transaction, with all locks held */
    /* After the commit, each by itself, and again where it is not known to have been done: without long locks
     * they make whole what the swap could only begin (constraints that are NOT VALID). */
    struct string_list validate;
    int validated_keys; /* how many foreign keys that are, of which each may take several statements */
};

/*
 * The plans of a table, one for each direction in which changes can flow. All have the same shape: .source is
 * what serves and is followed, the shadow is what is kept in sync and comes to serve by .swap.
 *   forward  original -> new table, from nothing: the copy and all that follows, up to the cutover.
 *   back     new table -> original, after a cutover. .source has no oid yet (it is the new table's). A value
 *            that the original's type cannot hold exactly is an error of the row (error_is_of_a_row()): what
 *            goes back and forth is the same. Columns that the new table lacks are .kept or COLUMN_DEFAULT.
 *            Only rows that changed since the cutover are to be compared: the change may have lost something
 *            of the others (a timestamp made a date), which the original still has.
 *   again    original -> new table, after a rollback: as forward, but the rows are there, and columns that
 *            only the new table has are .kept. Only rows that changed since the rollback are to be compared:
 *            what a --reverse-map gave the original need not come again as it was.
 *   proof    for comparing all rows while the new table serves: its .source is the original (under its
 * old_sql name), its shadow the new table. Only what verify needs of a plan is set. Columns that one side
 *            lacks, or that a --reverse-map fills, are not compared.
 * With maps of plan_set_remap() the original may hold less than the new table: again does not compare their
 * columns. A row that is not changed after the rollback keeps what the new table had in them.
 * back and proof are NULL without plan_options.way_back, again also where it cannot be (.why_not_again).
 */
struct plan_table {
    struct plan *forward;
    struct plan *back;
    struct plan *again;
    struct plan *proof;
    char *why_not_again; /* a clause, or NULL */
};

/* All tables of a job. They go the same ways together: each has the plan of a direction, or none has. */
struct plan_set {
    int first; /* position of the table that was named first: the job is called after it */
    int table_count;
    struct plan_table *tables;       /* in the order of their oids: that in which they are locked */
    struct plan_swap *cutover;       /* to the new tables */
    struct plan_swap *rollback;      /* to the originals; NULL like back */
    struct plan_swap *cutover_again; /* to the new tables after that; NULL like again */
    struct string_list reverse_maps; /* in force, as typed */
};

/* Why the set has no .cutover_again, as a clause; NULL where that is not known. */
const char *plan_set_why_not_again(const struct plan_set *set);

/*
 * Make the plans, for all directions. Changes nothing on the server. NULL on failure: ERROR_USAGE for SQL
 * that does not parse, ERROR_REFUSED for what cannot be done; every reason found is in
 * the detail, one a line.
 */
struct plan_set *plan_set_make(struct session *s, const struct plan_options *options, struct error *err);
void plan_set_free(struct plan_set *set); /* NULL-safe */

/*
 * Other maps ("column=expression") for a set that has a way back, after the cutover: those given, and of the
 * set's own those for other columns. The change is planned anew from what is stored in the set: by now the
 * table's name belongs to the new one. Taken over is only how rows go back and what is compared; names, keys,
 * indexes and swaps stay. ERROR_USAGE and ERROR_REFUSED as at plan_set_make(); the set is unchanged then.
 */
bool plan_set_remap(struct session *s, struct plan_set *set, int count, const char *const *maps,
                    struct error *err);

/* The set as JSON, and back: only plan_set_remap() plans a job a second time. The text is the caller's to
 * free. */
char *plan_set_write(const struct plan_set *set);
struct plan_set *plan_set_read(const char *json, struct error *err);

/*
 * The condition that finds a row by column number of the key: "alias.column = (value::type COLLATE …)", with
 * the equality of the key's own index and in the column's own type and collation, so that the index serves
 * whatever the value's are. value is an SQL expression.
 */
enum plan_side { PLAN_SOURCE, PLAN_SHADOW };
struct buffer;
void plan_add_key_match(struct buffer *sql, const struct plan *p, int number, enum plan_side side,
                        const char *alias, const char *value);

/* The plans as text for people. */
void plan_set_print(const struct plan_set *set, FILE *out);
void plan_free(struct plan *p); /* NULL-safe */

#endif
