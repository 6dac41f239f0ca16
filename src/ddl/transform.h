/*
 * How a row of the target comes from a row of the source: the user's statements as stages, composed into one
 * SELECT over pgrecast_src. No I/O: the clone's columns before and after each statement, and the server's
 * text of a USING, are given.
 *
 * Refuses what cannot be composed exactly: a value that a later statement reads although only a cast that may
 * cut it short would give it its type in between, or that is made anew for each row.
 */
#ifndef PGRECAST_DDL_TRANSFORM_H
#define PGRECAST_DDL_TRANSFORM_H

#include <stdbool.h>

#include "core/error.h"
#include "ddl/plan.h"
#include "ddl/statement.h"

/* A column of the clone between two statements. */
struct stage_column {
    int attnum;
    char *name;
    char *type;      /* with its modifier */
    char *bare_type; /* without */
    char *type_id;   /* type, modifier and collation, to compare */
    bool cuts;       /* a cast to the type cuts a value short that an assignment would refuse */
    char generated;
    char identity;
    char *constant; /* what rows had when the column was added, as text; NULL: NULL */
    char *default_expr;
    bool default_volatile;
};

struct stage {
    int count;
    struct stage_column *columns;
};

void stage_free(struct stage *stage);
const struct stage_column *stage_column(const struct stage *stage, int attnum);
const struct stage_column *stage_column_named(const struct stage *stage, const char *name);

/* A column's value as the stages so far make it. */
struct column_value {
    int attnum;
    char *expr; /* over the alias pgrecast_src, or p where there is a .from; NULL where the server makes the
                   value */
    char *cast; /* type the value has to be cast to where something reads it; NULL: it has it */
    bool cuts;  /* that cast may cut it short */
    enum column_origin origin;
    bool plain;
    bool kept;       /* as of struct plan_column */
    int conversions; /* statements that changed the type */
    /*
     * The one conversion is a USING that only casts: that, as a SELECT of c1 without a FROM, over a row with
     * the column under the name that it had then; else NULL.
     */
    char *own_cast;
    char *own_name;
    bool own_direct;  /* it is one cast, to the very type that the column gets: as without the USING */
    bool *depends_on; /* by position in the source */
    char *made_by;    /* COLUMN_DEFAULT: the default (or identity) that made it, to see that it stays */
};

struct transform {
    const struct table *source;
    int count;
    struct column_value *values;
    char *from; /* a SELECT that gives c1, c2, … by attnum; NULL at first */
};

/* The clone's columns at first are those of the source, numbered from 1. */
void transform_start(struct transform *t, const struct table *source);

/*
 * One statement, in two steps. Before it runs: make ready what its USING expressions read, and give the
 * SELECT list for a view over the clone that makes the server read them; *list is NULL where it has none.
 * After it ran: take what became of the columns; view is the server's text of that SELECT, without its FROM.
 */
bool transform_prepare(struct transform *t, const struct stage *before, const struct statement *statement,
                       char **list, struct error *err);
bool transform_step(struct transform *t, const struct stage *before, const struct stage *after,
                    const struct statement *statement, const char *view, struct error *err);

/* The statement's USING for the column only casts it; view is the server's text of that alone. Taken over. */
void transform_note_cast(struct transform *t, int attnum, const char *name, char *view);

/* The source's column of the same number, converted by one cast at most, with a USING or without. */
bool transform_is_direct(const struct column_value *v);

const struct column_value *transform_value(const struct transform *t, int attnum);
void transform_free(struct transform *t);

#endif
