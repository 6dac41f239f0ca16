/*
 * The statements of the apply, made once from the plan. Internal to the apply.
 *
 * Temporary tables of the session. Their names have the number of the table, because several tables share the
 * session:
 *   stage    the batch: op ('d' delete the key, 'r' write the row), seq, ref (the seq whose old row has the
 *            values left unchanged), mask (which those are, 0: none), group (the group of the row), the
 *            source's columns
 *   saved    the shadow's rows that the batch replaces, by seq, without generated columns
 *   keys     the dirty keys
 *   overlay  rows touched by a transaction too large for one batch, without the shadow's unique indexes and
 *            generated columns; only while such a transaction is open
 */
#ifndef PGRECAST_APPLY_STATEMENTS_H
#define PGRECAST_APPLY_STATEMENTS_H

#include <stdbool.h>

#include "core/buffer.h"
#include "plan_data/plan.h"

/* The qualified names of the temporary tables. */
struct temp_tables {
    char stage[48];
    char saved[48];
    char keys[48];
    char overlay[48];
};

void temp_tables_name(struct temp_tables *temp, int number);

/* The columns of the source that the stream has: all but generated ones. */
struct stream_columns {
    int count;
    int *source;        /* indexes into plan->source->columns */
    int *key_positions; /* plan->key_count indexes into the columns of this struct */
    /*
     * The server might refuse the stream's values (see struct column, unvalidated). So they are taken without
     * a check from the source's row, like values that a change has left unchanged.
     */
    bool *only_in_source;
    char **names; /* as the stream has them; NULL: the names of the plan */
};

void stream_columns_init(struct stream_columns *c, const struct plan *plan);
void stream_columns_free(struct stream_columns *c);

/* CREATE TEMPORARY TABLE …; several statements in one text. */
char *statement_create(const struct temp_tables *temp, const struct plan *plan);
char *statement_copy_stage(const struct temp_tables *temp, const struct plan *plan,
                           const struct stream_columns *c, const char *encoding);

/*
 * Adds the options of COPY … FROM STDIN for values as the stream has them. encoding: of the database; NULL:
 * UTF-8.
 */
void statement_add_copy_options(struct buffer *sql, const char *encoding);

/*
 * target: the qualified name of the shadow or the overlay. groups: the groups of the stage's rows to which
 * the statement is limited, an array in SQL's text form; NULL: all rows.
 */
char *statement_delete(const struct temp_tables *temp, const struct plan *plan, const char *target,
                       const char *groups);
char *statement_delete_saving(const struct temp_tables *temp, const struct plan *plan, const char *target,
                              const char *groups);

/* Write rows with mask 0. saved: only rows that replace no saved row. */
char *statement_insert(const struct temp_tables *temp, const struct plan *plan, const char *target,
                       bool saved, const char *groups);

/*
 * Write rows of one mask that replace a saved row. They keep the saved values where keep[insert item] is
 * true.
 */
char *statement_insert_keeping(const struct temp_tables *temp, const struct plan *plan, const char *target,
                               int mask, const bool *keep, const char *groups);

/*
 * Read the columns in the mask from the source, for the stage's rows of that mask (all of them, or only those
 * that replace no saved row). These rows then have mask 0.
 */
char *statement_fill(const struct temp_tables *temp, const struct plan *plan, const struct stream_columns *c,
                     int mask, const bool *unchanged, bool all, const char *groups);

/*
 * To be run after statement_fill(): rows that the source no longer has become deleted ones, because a later
 * change deletes them.
 */
char *statement_forget(const struct temp_tables *temp, int mask, bool all, const char *groups);

/*
 * To be run before statement_forget(): nothing is done about such rows, except those with these seqs (an
 * array in SQL's text form). Returns the seqs of the rows that are left alone.
 */
char *statement_leave(const struct temp_tables *temp, int mask, const char *but);

/* Returns the key of one row that should replace a saved row and does not. */
char *statement_find_missing(const struct temp_tables *temp, const struct plan *plan, int mask,
                             const char *groups);

/*
 * Make the overlay; statement_overlay_sequence() sets the default of an identity column. Move the touched
 * rows from the shadow to the overlay, and later all its rows back, and drop it.
 */
char *statement_overlay_create(const struct temp_tables *temp, const struct plan *plan);
char *statement_overlay_sequence(const struct temp_tables *temp, const char *column, const char *sequence);
char *statement_overlay_take(const struct temp_tables *temp, const struct plan *plan);
char *statement_overlay_merge(const struct temp_tables *temp, const struct plan *plan);

/*
 * Whether keys with different texts in the stream are always different keys for the server. That does not
 * hold for numeric (1.0 and 1.00) or a nondeterministic collation: then several entries of a batch may meet
 * the same row in the shadow.
 */
bool plan_keys_differ_by_text(const struct plan *plan);

/* True when the plan's shadow has a unique or exclusion constraint besides its key. */
bool plan_has_other_unique(const struct plan *plan);

#endif
