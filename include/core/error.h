/*
 * Errors are values: a function that can fail returns bool and fills a struct error. Context is added on the
 * way up, and the one error that reaches main() is printed there, once.
 *
 * Refuses: formatting values of a row. Callers may name a key, never another column's content.
 */
#ifndef PGRECAST_CORE_ERROR_H
#define PGRECAST_CORE_ERROR_H

#include <stdbool.h>

/* What kind of failure it is; the value is the exit status of the program. */
enum error_kind {
    ERROR_NONE = 0,
    ERROR_FAILED = 1,   /* failed, the job can be resumed or removed */
    ERROR_USAGE = 2,    /* the command line or the SQL is wrong */
    ERROR_REFUSED = 3,  /* refused by pre-flight, nothing was created */
    ERROR_PARITY = 4,   /* parity failed, nothing was swapped */
    ERROR_LOCK = 5,     /* no lock within the attempts, still in sync */
    ERROR_ROLLBACK = 6, /* rollback not possible */
};

/* Zero-initialise; owns its strings; release with error_clear(). */
struct error {
    enum error_kind kind;
    bool connection_lost; /* the server or the connection to it went away */
    bool stopped;         /* the user asked the program to stop */
    char sqlstate[6];     /* "" where the error did not come from the server */
    char *message;        /* lower case, no period */
    char *detail;         /* a sentence, or NULL */
    char *hint;           /* a sentence, or NULL: usually the next command to type */
};

/* Set the error, replacing what was there. Always returns false, so that `return error_set(…)` reads well. */
bool error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "fmt: " in front of the message. Returns false. */
bool error_context(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Set or replace the detail or the hint. Return false. */
bool error_detail(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool error_hint(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Move the content of one error to another, which is cleared first; the source is left empty. */
void error_move(struct error *to, struct error *from);

/* Free the strings and zero the struct. NULL-safe. */
void error_clear(struct error *err);

#endif
