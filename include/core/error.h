/*
 * Errors are values: a function that can fail returns bool and fills a struct error. Context is added by the
 * callers, and the error that reaches main() is printed there, once.
 *
 * Refuses: formatting values of a row. Callers may name a key, never the content of another column.
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
    bool nothing;         /* no failure: there is nothing to do, and the message says why */
    char sqlstate[6];     /* "" if the error did not come from the server */
    char source[24];      /* the server's source file that wrote the message; "": not a text of the server */
    bool inside;          /* raised within something that the statement runs: a function, a COPY */
    char *message;        /* lower case, no period */
    char *detail;         /* a sentence, or NULL */
    char *hint;           /* a sentence, or NULL: usually the next command to type */
};

/* Set the error, replacing what was there. Always returns false, so that `return error_set(…)` reads well. */
bool error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Set the message of what is no failure: the program prints it on standard output, and ends with 0. False. */
bool error_nothing(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Put "fmt: " in front of the message. Returns false. */
bool error_context(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Set or replace the detail or the hint. Return false. */
bool error_detail(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool error_hint(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * What stands between a hint and a further one: a space after a sentence, otherwise a new line, because nothing
 * else may follow a command. "" if there is no hint (NULL).
 */
const char *error_hint_separator(const char *hint);

/* Move the content of one error to another, which is cleared first; the source is left empty. */
void error_move(struct error *to, struct error *from);

/* Replace the content of the first error by a copy of the second. */
void error_copy(struct error *to, const struct error *from);

/* Free the strings and zero the struct. NULL-safe. */
void error_clear(struct error *err);

#endif
