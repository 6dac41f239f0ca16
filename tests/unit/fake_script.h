/* The script of a fake server (fake_sql.h): its steps, which of them is next, and a step's reply as bytes. */
#ifndef PGRECAST_TESTS_UNIT_FAKE_SCRIPT_H
#define PGRECAST_TESTS_UNIT_FAKE_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buffer.h"

#define FAKE_ITEMS 8        /* most parameters, and most rows, of a step, and one for the NULL at their end */
#define FAKE_NULL "\\N"     /* SQL NULL, as a parameter or as a field of a row */
#define FAKE_ANY_TEXT "\\*" /* a parameter that is not compared */
#define FAKE_CONNECT "(connect)" /* as .sql: the session is opened. Without such a step it always may be. */
#define FAKE_ANY (-1)            /* as .times */

enum fake_end {
    FAKE_STAYS,
    FAKE_LOST_BEFORE, /* the statement has arrived, the connection is closed without a reply */
    FAKE_LOST_AFTER,  /* the connection is closed behind the whole reply */
};

/* Zero or NULL is the default of each field. */
struct fake_step {
    const char *session; /* PURPOSE of "pgrecast PURPOSE"; NULL: as the step before */
    const char *sql; /* what the statement begins with; a prepared statement's name where one is executed */
    bool whole;      /* .sql is the whole statement */
    const char *params[FAKE_ITEMS]; /* as texts; not compared where there are none */
    int times;                      /* how often it comes; 0: once; FAKE_ANY: any number of times, or never */

    const char *columns;          /* their names, "a|b"; "": rows without columns; NULL: no rows */
    const char *rows[FAKE_ITEMS]; /* their fields, "1|x" */
    const char *tag;              /* of the command, "UPDATE 3"; NULL: made from the statement */
    const char *notice;
    const char *error; /* an SQLSTATE */
    const char *message, *detail, *hint;
    const char *severity; /* NULL: ERROR. FATAL ends the session. */
    bool wait;            /* for a CancelRequest; without another reply it is query_canceled */
    enum fake_end end;
    void (*meanwhile)(void); /* called in the server's thread before the reply */
};

struct fake_script {
    const struct fake_step *steps;
    size_t count;
    int *used;              /* how often each step was taken */
    struct buffer problems; /* for people; empty: none */
};

/* The parameters of a statement as they arrived: NULL for SQL NULL. */
struct fake_params {
    int count;
    char **values;
};

/*
 * Take the next step of the session, where it is for such a statement. *expected: what is expected instead,
 * or NULL where no step is left; not set where one is returned.
 */
const struct fake_step *fake_script_take(struct fake_script *s, const char *session, const char *sql,
                                         const char **expected);

/* Add a problem where the step's parameters are others. False then. */
bool fake_script_check_params(struct fake_script *s, const struct fake_step *step,
                              const struct fake_params *params);

/* Add a problem for each step that is left. */
void fake_script_check_end(struct fake_script *s);

/* RowDescription, or NoData. */
void fake_step_describe(const struct fake_step *step, struct buffer *out);

/* Notice, rows and CommandComplete, or notice and ErrorResponse. */
void fake_step_reply(const struct fake_step *step, const char *sql, bool aborted, struct buffer *out);

/* The step's reply is an error. */
bool fake_step_fails(const struct fake_step *step);

#endif
