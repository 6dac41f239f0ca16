/*
 * The statements of the apply, written once from the plan. Internal to the apply.
 *
 * Temporary tables of the session, by the number of the table, as several share the session:
 *   stage    the batch: op ('d' delete the key, 'r' write the row), seq, ref (the seq whose old row has the
 *            values left unchanged), mask (which those are, 0: none), unit (of which it is a part), the
 *            source's columns
 *   saved    the shadow's rows that the batch replaces, by seq, without generated columns
 *   keys     the dirty keys
 *   overlay  rows touched by a transaction too large for one batch, without the shadow's unique indexes and
 *            generated columns; only while such a transaction is open
 */
#ifndef PGRECAST_APPLY_STATEMENTS_H
#define PGRECAST_APPLY_STATEMENTS_H

#include <stdbool.h>

#include "ddl/plan.h"

/* Their names, qualified. */
struct temp_tables {
    char stage[48];
    char saved[48];
    char keys[48];
    char overlay[48];
};

void temp_tables_name(struct temp_tables *temp, int number);

/* What the stream carries of the source: all columns but generated ones. */
struct stream_columns {
    int count;
    int *source;        /* position in plan->source->columns */
    int *key_positions; /* plan->key_count of them: position among these columns */
};

void stream_columns_init(struct stream_columns *c, const struct plan *plan);
void stream_columns_free(struct stream_columns *c);

/* CREATE TEMPORARY TABLE …; one text of several statements. */
char *statement_create(const struct temp_tables *temp, const struct plan *plan);
char *statement_copy_stage(const struct temp_tables *temp, const struct plan *plan,
                           const struct stream_columns *c);

/*
 * target: the shadow's or the overlay's qualified name. units: the statement is about the stage's rows of
 * these units only, an array in SQL's text form; NULL: about all.
 */
char *statement_delete(const struct temp_tables *temp, const struct plan *plan, const char *target,
                       const char *units);
char *statement_delete_saving(const struct temp_tables *temp, const struct plan *plan, const char *target,
                              const char *units);

/* Write rows with a mask of 0; with saved: only those that replace no saved row. */
char *statement_insert(const struct temp_tables *temp, const struct plan *plan, const char *target,
                       bool saved, const char *units);

/* Write rows of one mask that replace a saved row, keeping its values where keep[insert item] says so. */
char *statement_insert_keeping(const struct temp_tables *temp, const struct plan *plan, const char *target,
                               int mask, const bool *keep, const char *units);

/* Read the columns that mask leaves out from the source, for rows of that mask (all of them, or only those
 * that replace no saved row), which then have mask 0. */
char *statement_fill(const struct temp_tables *temp, const struct plan *plan, const struct stream_columns *c,
                     int mask, const bool *unchanged, bool all, const char *units);

/* After the fill: rows that the source no longer has are deleted ones (a later change says so). */
char *statement_forget(const struct temp_tables *temp, int mask, bool all, const char *units);

/* Before that: nothing is done about such rows, but those of these seqs (an array in SQL's text form). Names
 * the seqs that are left alone. */
char *statement_leave(const struct temp_tables *temp, int mask, const char *but);

/* Names the key of one row that should replace a saved row and does not. */
char *statement_find_missing(const struct temp_tables *temp, const struct plan *plan, int mask,
                             const char *units);

/*
 * Make the overlay; the default of an identity column is what statement_overlay_sequence() gives it. Move the
 * touched rows from the shadow there, and all of it back (and drop it).
 */
char *statement_overlay_create(const struct temp_tables *temp, const struct plan *plan);
char *statement_overlay_sequence(const struct temp_tables *temp, const char *column, const char *sequence);
char *statement_overlay_take(const struct temp_tables *temp, const struct plan *plan);
char *statement_overlay_merge(const struct temp_tables *temp, const struct plan *plan);

/*
 * Keys whose texts in the stream differ are different keys for the server. Not so with numeric (1.0 and 1.00)
 * or a nondeterministic collation: then which of two such entries of a batch meets the row in the shadow
 * depends on their order in the stage.
 */
bool plan_keys_differ_by_text(const struct plan *plan);

/* True when the plan's shadow has a unique or exclusion constraint besides its key. */
bool plan_has_other_unique(const struct plan *plan);

#endif
