/*
 * Options in an SQL file: comments of the form "-- pgrecast: name=value name …". A value with spaces stands in single
 * quotes, in which '' is one quote.
 */
#ifndef PGRECAST_PARSE_DIRECTIVE_H
#define PGRECAST_PARSE_DIRECTIVE_H

#include <stdbool.h>

#include "core/error.h"

struct directive {
    char *name;  /* without dashes */
    char *value; /* NULL: none */
    int byte;    /* where it stands in the text */
};

struct directive_list {
    int count;
    struct directive *items;
};

/*
 * The directives of the text, in order. A text that cannot be read as SQL has none: its parse says why. ERROR_USAGE,
 * with the place, for a directive without its closing quote. The caller frees the list, also after a failure.
 */
bool directives_read(const char *sql, struct directive_list *out, struct error *err);
void directives_free(struct directive_list *list);

/* Add to the error where the directive stands. */
void directive_point(const char *sql, const struct directive *directive, struct error *err);

#endif
