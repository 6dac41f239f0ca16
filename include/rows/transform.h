/*
 * How a row of the target comes from a row of the source: the user's statements as stages, composed into one
 * SELECT over pgrecast_src. No I/O: the caller gives the clone's columns before and after each statement, and
 * the server's text of a USING.
 *
 * Refuses what cannot be composed exactly: a value that a later statement reads, if it is made anew for each
 * row, or if only a cast that may cut it short would give it the type that it has in between.
 */
#ifndef PGRECAST_ROWS_TRANSFORM_H
#define PGRECAST_ROWS_TRANSFORM_H

#include <stdbool.h>

#include "catalog/table.h"
#include "core/error.h"
#include "parse/statement.h"
#include "plan_data/plan.h"

/* A column of the clone between two statements. */
struct stage_column {
    int attnum;
    char *name;
    char *type;      /* with its modifier */
    char *bare_type; /* without */
    char *type_id;   /* type, modifier and collation, to compare */
    bool cuts;       /* a cast to the type cuts a value short where an assignment would refuse it */
    char generated;
    char identity;
    char *constant; /* the value that rows had when the column was added, as text; NULL: SQL NULL */
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

/* A column's value as the stages up to now make it. */
struct column_value {
    int attnum;
    /* over the alias pgrecast_src, or p if there is a .from; NULL if the server makes the value */
    char *expr;
    char *cast; /* type that the value has to be cast to before something reads it; NULL: it has that type */
    bool cuts;  /* that cast may cut it short */
    enum column_origin origin;
    bool plain;
    bool kept; /* as in struct plan_column */
    bool
        /*
         * of a stored generated column: the value is the one that the source's rows hold, as ALTER TABLE
         * keeps it
         */
        stored;
    int conversions; /* number of statements that changed the type */
    /*
     * Set if the only conversion is a USING that only casts, or that is AT TIME ZONE a constant: that USING as a
     * SELECT of c1 without a FROM, over a row with the column under the name that it had then. Else NULL.
     */
    char *own_cast;
    char *own_name;
    char *own_zone; /* that constant; NULL: it casts */
    /* it is one cast, to exactly the type that the column gets: the same as without the USING */
    bool own_direct;
    bool *depends_on; /* by position in the source */
    /* COLUMN_DEFAULT: the default (or identity) that made it, to check that it is still the same */
    char *made_by;
};

struct transform {
    const struct table *source;
    int count;
    struct column_value *values;
    char *from;           /* a SELECT that gives c1, c2, … by attnum; NULL before the first stage */
    bool texts_differ;    /* as plan_comparison.texts_differ */
    const char *encoding; /* as plan_comparison.encoding; the session's */
    /*
     * The same with GENERATED_STORED, for the comparison; NULL: no column is compared with its stored value
     */
    struct transform *stored;
};

/* What the value of a stored generated column of the source is before the first statement. */
enum transform_generated {
    GENERATED_COMPUTED, /* its expression, because the change stream does not have its values */
    GENERATED_STORED,   /* the value that the rows hold, which ALTER TABLE keeps: for the comparison */
};

/* The clone's columns before the first statement are those of the source, numbered from 1. */
void transform_start(struct transform *t, const struct table *source, enum transform_generated generated);

/* The statement changes what the column is computed from: the stored value is no longer the right one. */
void transform_recompute(struct transform *t, int attnum);

/*
 * One statement, in two steps. Before it runs: prepare what its USING expressions read, and give the SELECT
 * list for a view over the clone that makes the server read them; *list is NULL if it has none. After it ran:
 * record the columns as they are now; view is the server's text of that SELECT, without its FROM.
 */
bool transform_prepare(struct transform *t, const struct stage *before, const struct statement *statement,
                       char **list, struct error *err);
bool transform_step(struct transform *t, const struct stage *before, const struct stage *after,
                    const struct statement *statement, const char *view, struct error *err);

/*
 * The statement's USING for the column only casts it; view is the server's text of that USING alone, and is
 * taken over.
 */
void transform_note_cast(struct transform *t, int attnum, const char *name, const char *zone, char *view);

/*
 * The column is the source's column of the same number, converted by one cast at most, with a USING or
 * without.
 */
bool transform_is_direct(const struct column_value *v);

const struct column_value *transform_value(const struct transform *t, int attnum);
void transform_free(struct transform *t);

#endif
