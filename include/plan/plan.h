/*
 * The plan of one job (plan_data/plan.h): made, stored, read again, printed.
 *
 * How a plan is made: in a transaction that is always rolled back, the program creates an empty clone of each
 * table, under the same name, in a scratch schema of its own. The server runs the user's statements on the
 * clone. What the catalogs then say of the clone is the target. Names, types and properties are therefore
 * those that ALTER TABLE gives, by construction. A column of the target comes from the source column of the
 * same attnum (renames and type changes keep it), or was added.
 *
 * Refuses (ERROR_REFUSED) whatever cannot be carried over or done correctly, with the reason and what to do
 * instead. `plan` prints exactly what `run` executes.
 */
#ifndef PGRECAST_PLAN_PLAN_H
#define PGRECAST_PLAN_PLAN_H

#include <stdbool.h>
#include <stdio.h>

#include "core/error.h"
#include "pg/session.h"
#include "plan_data/plan.h"

struct plan_options {
    const char *sql;           /* the user's statements, or NULL with rebuild */
    const char *rebuild_table; /* as typed, maybe qualified and quoted; or NULL */
    /* a table whose partitions the new table gets, with the names of their columns; NULL: it is not partitioned */
    const struct table *layout;
    const struct string_list *layout_code; /* with a layout: oids of the functions that it names */
    const struct string_list *notes;       /* what `plan` is to note beside its own; or NULL */
    bool rebuild_invalid;                  /* do not refuse because of an invalid index */
    bool accept_published; /* do not refuse because publications cover the working tables automatically */
    bool rollback;         /* a rollback must be possible: refuse whatever prevents one */
    /* stored generated columns may get values other than those ALTER TABLE would keep */
    bool recompute_generated;
    int trusted_count; /* roles whose functions may run with the rights of the session's role */
    const char *const *trusted;
    int history_table_count; /* tables of migration tools whose rows the SQL may change, as typed */
    const char *const *history_tables;
    bool widen_sequences; /* a sequence that a column owns gets the type of the column, where that is wider */
    char *where;          /* only rows that match are kept; NULL: all */
    bool pack_columns;    /* the columns of the new tables get the order that wastes no room */
    bool sample;          /* read some rows of the table to warn of what they show */
    int64_t disk_free;    /* bytes that are free on the server's disk; 0: not known */
    int reverse_map_count;
    /* "column=expression": a column of the original from the new table's; "table.column=expression" */
    const char *const *reverse_maps;
    /*
     * Sets *job to the name of the ended job that has kept this table (the caller frees it), or to NULL. May be
     * NULL: no job is known.
     */
    bool (*kept_by)(struct session *s, oid_t table, char **job, struct error *err);
};

/* Why the set has no .cutover_again, as a clause; NULL if that is not known. */
const char *plan_set_why_not_again(const struct plan_set *set);

/*
 * Make the plans, for all directions. Changes nothing on the server. NULL on failure: ERROR_USAGE for SQL
 * that does not parse, ERROR_REFUSED for what cannot be done. Every reason that was found is in the detail,
 * one a line.
 */
struct plan_set *plan_set_make(struct session *s, const struct plan_options *options, struct error *err);
void plan_set_free(struct plan_set *set); /* NULL-safe */

/*
 * Replace the --reverse-map options ("column=expression") of a set that can be rolled back, after the
 * cutover. In force are then the given maps, and those of the set for other columns. The change is planned
 * anew from what the set has stored, because the table's name belongs to the new table by now. Only how rows
 * go back and what is compared is replaced; names, keys, indexes and swaps stay. ERROR_USAGE and
 * ERROR_REFUSED as in plan_set_make(); the set is unchanged then.
 */
bool plan_set_remap(struct session *s, struct plan_set *set, int count, const char *const *maps,
                    struct error *err);

/*
 * Set the trusted roles for the role of this session: the given ones, and, if this role started the job,
 * those that it trusted then.
 */
bool plan_set_trust(struct session *s, struct plan_set *set, int count, const char *const *roles,
                    struct error *err);

/* Change what the swaps do with privileges: see swap_job_set_privileges() (objects/swap_job.h). */
void plan_set_privileges(struct plan_set *set, int table, const struct table *now);

/*
 * An index of the original, and the one like it on the new table, that were made, or dropped, since the swaps were planned:
 * each swap exchanges their names, or does not any more. plan_set_remove_index() returns false if a swap does not have them;
 * then the set is of no use.
 */
void plan_set_add_index(struct plan_set *set, int table, const struct plan_index_names *names);
bool plan_set_remove_index(struct plan_set *set, int table, const struct plan_index_names *names);

/*
 * Something that depends on the table, and was made or dropped since the swaps were planned. If it is replaceable, it is redirected in
 * place. False where a swap cannot be changed so; then the set is of no use.
 */
bool plan_set_add_dependent(struct plan_set *set, int table, const struct dependent *d);
bool plan_set_remove_dependent(struct plan_set *set, int table, const char *description);

/*
 * The set as JSON, and read from JSON: nothing but plan_set_remap() plans a job a second time. The caller
 * frees the text.
 */
char *plan_set_write(const struct plan_set *set);
struct plan_set *plan_set_read(const char *json, struct error *err);

/*
 * Whether PostgreSQL itself could not make the change at once: it would rewrite a table, hold a lock for as long as
 * it works, or refuse. Always true for a rebuild.
 */
bool plan_set_is_needed(const struct plan_set *set);

/* What PostgreSQL itself would do for each clause, as lines of text. The caller frees it. */
char *plan_set_verdicts(const struct plan_set *set);

/* Bytes of the tables with their indexes, as large as the originals are now: what the new tables will need. */
int64_t plan_set_bytes(const struct plan_set *set);

/* A guess of how long one session takes to copy and index them, in seconds, for estimates only: 40 MB/s. */
double plan_set_seconds(const struct plan_set *set);

/* The plans as text for people. */
void plan_set_print(const struct plan_set *set, const struct plan_options *options, const char *spool,
                    FILE *out);
void plan_free(struct plan *p); /* NULL-safe */

#endif
