/*
 * Runs the user's statements on an empty clone of the table, in a transaction that is always rolled back, to
 * learn what they make of it, how a row of the result comes from a row of the table, and what the server does
 * for each clause.
 *
 * The clone has the table's own name in a scratch schema, so that the server chooses the same names as for
 * the table. Names that are in use in the table's schema are taken in the scratch schema too.
 */
#ifndef PGRECAST_PLAN_CLONE_H
#define PGRECAST_PLAN_CLONE_H

#include "catalog/expressions.h"
#include "objects/foreign_key.h"
#include "objects/restart.h"
#include "parse/statement.h"
#include "plan_data/plan.h"
#include "rows/transform.h"

/*
 * Begins the transaction in which a plan is made, and which is always rolled back. It gives up if somebody
 * else holds a lock that it needs. The server ends the transaction if this program is suspended in the
 * middle, because its snapshot would hold back vacuum.
 */
#define PLANNING_BEGIN                                                                                       \
    "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout TO '10s'; "                   \
    "SET LOCAL idle_in_transaction_session_timeout TO '60s'"

/* A name that no other schema has. It has to be given to statements_parse() too. Needs no quotes. */
char *clone_schema_name(struct session *s);

struct clone_result {
    struct table *before; /* the clone as it was created, like the source */
    struct table *after;  /* with the statements run */
    struct transform transform;
    struct plan_verdict_list verdicts; /* per clause */
    struct string_list notes;
    struct restart_list restarts;
    struct referenced_list referenced; /* by the foreign keys that the statements add */
    struct string_list before_all; /* statements that are run before the user's (foreign_keys_dropped()) */
    struct table_uses uses;        /* of .after, written as if it were in the table's schema */
};

/*
 * Runs in the session's open transaction, which the caller rolls back. The result is zeroed, or has .before_all, and
 * .referenced as referenced_find() gives it. Errors of the user's statements are ERROR_USAGE. compare_stored: also
 * make a second transform for the comparison, from the stored values that the rows hold.
 */
bool clone_run(struct session *s, const struct table *source, const char *schema,
               const struct statement_list *statements, bool compare_stored, struct clone_result *result,
               struct error *err);

/*
 * The same for a source whose names belong to another table by now: nothing is read from the server under
 * them. There are no verdicts and restarts then, and the server may choose other names.
 */
bool clone_run_apart(struct session *s, const struct table *source, const char *schema,
                     const struct statement_list *statements, bool compare_stored,
                     struct clone_result *result, struct error *err);
void clone_result_free(struct clone_result *result);

#endif
