/*
 * One statement of the user on the clone: what it makes of the rows (clone_statement.c), and what PostgreSQL
 * itself does for each of its clauses (clone_judge.c). Private to src/plan.
 */
#ifndef PGRECAST_PLAN_CLONE_STATEMENT_H
#define PGRECAST_PLAN_CLONE_STATEMENT_H

#include "clone.h"
#include "objects/generated.h"

struct clone {
    struct session *s;
    const char *schema;
    const struct table *source;
    const struct statement_list *statements;
    struct clone_result *result;
    bool apart;          /* the source's names belong to another table by now */
    bool compare_stored; /* stored generated columns count with the values that the rows hold */
    char oid[16];
    struct released released;    /* generated columns that are plain ones until the end of the statements */
    struct string_list reserved; /* names held in the scratch schema, each preceded by its kind */
};

/*
 * Run one statement, and add to the result's transform what it makes of the rows: stages before and after,
 * USING expressions and casts as the server reads them, constants, restarts of identity sequences.
 */
bool clone_run_statement(struct clone *c, const struct statement *statement, struct error *err);

/* Run the SQL of a statement or a clause. */
bool clone_execute(struct clone *c, const char *sql, struct error *err);

/* Find the statements' verdicts by running them on the clone, clause by clause if that is possible; undo that. */
bool clone_judge_statements(struct clone *c, struct error *err);

/* Turn generated columns whose expressions are in the statement's way into plain ones (objects/generated.h). */
bool clone_release_generated(struct clone *c, const struct statement *statement, struct released *released,
                             struct error *err);

/* Word the failure of a statement on the clone as one of the user's table. Always false. */
bool clone_blame(const struct clone *c, const struct statement *statement, struct error *err);

#endif
