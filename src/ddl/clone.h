/*
 * The user's statements on an empty clone of the table, in a transaction that is always rolled back: what
 * they make of it, how a row gets there, and what the server does for each clause.
 *
 * The clone has the table's own name in a scratch schema, so that names the server chooses come out right;
 * names that the table's schema holds already are held in the scratch schema too.
 */
#ifndef PGRECAST_DDL_CLONE_H
#define PGRECAST_DDL_CLONE_H

#include "ddl/plan.h"
#include "ddl/statement.h"
#include "ddl/transform.h"

/* A name that no other schema has, to be given to statements_parse() too. Needs no quotes. */
char *clone_schema_name(struct session *s);

/* An identity column whose sequence the statements set. */
struct restart {
    int attnum; /* of the clone */
    int64_t last_value;
    bool is_called;
};

struct clone_result {
    struct table *before; /* the clone as made: like the source */
    struct table *after;  /* with the statements run */
    struct transform transform;
    struct string_list verdicts; /* per clause, "clause: what the server does" */
    bool rewrites;               /* the server rewrites for one clause at least */
    struct string_list notes;
    int restart_count;
    struct restart *restarts;
};

/* In the session's open transaction, which the caller rolls back. The statements' errors are ERROR_USAGE. */
bool clone_run(struct session *s, const struct table *source, const char *schema,
               const struct statement_list *statements, struct clone_result *result, struct error *err);

/*
 * The same for a source whose names belong to another table by now: nothing is read from the server under
 * them. There are no verdicts and restarts then, and names that the server chooses may be others.
 */
bool clone_run_apart(struct session *s, const struct table *source, const char *schema,
                     const struct statement_list *statements, struct clone_result *result, struct error *err);
void clone_result_free(struct clone_result *result);

#endif
