/*
 * The user's expressions over the clone, read back from a view, so that every name in them is qualified and
 * it is known that they depend on nothing but the row's columns.
 */
#ifndef PGRECAST_ROWS_VIEW_H
#define PGRECAST_ROWS_VIEW_H

#include <stdbool.h>

#include "core/error.h"
#include "core/list.h"
#include "pg/session.h"

/* The clone, in the transaction that will be rolled back. */
struct view_place {
    struct session *s;
    const char *schema;
    const char *table;
    const char *oid;
    struct string_list *notes;
};

/*
 * While the user's text is read, names are resolved as in the user's own session; the program's own texts do
 * not need that.
 */
bool view_search_path(struct session *s, bool users, struct error *err);

/* Remove the scratch schema from a message of the server (NULL-safe). */
void view_strip_schema(const char *schema, char *text);

/*
 * The server rejected the user's text, so the user has to correct it: ERROR_USAGE, without the scratch
 * schema.
 */
bool view_blame(const char *schema, const char *text, struct error *err);

/*
 * The text of a SELECT list over the clone ("SELECT … AS c1, …"), without its FROM, as the server writes it.
 * For messages: text is the user's text, what is the part of the statement that it stands in ("USING
 * expression"). reads, if not NULL, is set for each attnum of the clone, up to reads_count, that the list
 * depends on.
 */
bool view_read(const struct view_place *v, const char *list, const char *text, const char *what, char **view,
               bool *reads, int reads_count, struct error *err);

/* The type of one expression of the user's over the clone. The caller frees it. */
bool view_type_of(const struct view_place *v, const char *expr, char **type, struct error *err);

/*
 * A column gets values of type from, and has type to: the functions that the server calls for that, without being named in a
 * statement, are examined like those of an expression. No value is converted. v->notes names those that find names
 * by the search_path; ERROR_REFUSED where a body cannot be read with an empty one.
 */
bool view_check_conversion(const struct view_place *v, const char *from, const char *to, const char *column,
                           struct error *err);

/*
 * A function in SQL, by its oid as text, that an expression calls: what names the expression ("the USING
 * expression"). The server reads the body, with an empty search_path, and does not run it. ERROR_REFUSED if it
 * cannot be read: the transaction is then aborted.
 */
bool view_check_body(struct session *s, const char *oid, const char *function, const char *what,
                     struct error *err);

#endif
