/*
 * The user's expressions over the clone, read back from a view: with every name in them qualified, and known
 * to depend on the row's columns only.
 */
#ifndef PGRECAST_DDL_VIEW_H
#define PGRECAST_DDL_VIEW_H

#include "ddl/plan.h"

/* The clone, in the transaction that is rolled back. */
struct view_place {
    struct session *s;
    const char *schema;
    const char *table;
    const char *oid;
    struct string_list *notes;
};

/* Names are resolved as in the user's own session while his text is read; ours need none. */
bool view_search_path(struct session *s, bool users, struct error *err);

/* The server's words (NULL-safe), without the scratch schema. */
void view_strip_schema(const char *schema, char *text);

/* What the user's text made the server say is his to mend: ERROR_USAGE, without the scratch schema. */
bool view_blame(const char *schema, const char *text, struct error *err);

/*
 * The text of a SELECT list over the clone ("SELECT … AS c1, …"), without its FROM, as the server writes it.
 * text is the user's, what the thing it stands in ("USING expression"): both for messages. reads: where not
 * NULL, set for each attnum of the clone up to reads_count that it depends on.
 */
bool view_read(const struct view_place *v, const char *list, const char *text, const char *what, char **view,
               bool *reads, int reads_count, struct error *err);

#endif
