/*
 * What migration files have around their changes of tables: BEGIN and COMMIT, timeouts, the search_path, lines
 * for psql.
 */
#ifndef PGRECAST_PARSE_FRAMING_H
#define PGRECAST_PARSE_FRAMING_H

#include "tree.h"

enum framing {
    FRAMING_NONE,    /* not such a statement */
    FRAMING_IGNORED, /* has no effect on what the tables become: a job has its own transactions and timeouts */
    FRAMING_PATH,    /* sets the search_path */
    FRAMING_REFUSED, /* err says why */
};

/*
 * text: the statement as typed, for the error. For FRAMING_PATH, *path gets the value in the form that set_config()
 * takes; the caller frees it.
 */
enum framing framing_read(const PgQuery__Node *tree, const char *text, char **path, struct error *err);

/*
 * The text without its lines for psql (\set, \echo and others that do not change what SQL follows). They are
 * replaced by spaces, so that every other character keeps its place. A line within a literal or a comment is
 * none of them. ERROR_USAGE for other lines of psql, with the place. The caller frees the text; NULL on failure.
 */
char *framing_without_psql(const char *sql, struct error *err);

#endif
