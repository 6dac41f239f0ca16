/*
 * Whose code runs when rows are moved and compared. The expressions of a table (CHECK constraints, generated
 * columns, indexes, domains) and its triggers call functions, with the rights of the session's role. If the
 * table belongs to another role, that role could use this to do what it is not allowed to do. SET ROLE is no
 * boundary, because a function can set the role back. So the program finds functions whose owner does not
 * have the rights of the session's role anyway, and does not run them unless the owner is trusted.
 */
#ifndef PGRECAST_ROWS_CODE_H
#define PGRECAST_ROWS_CODE_H

#include "core/buffer.h"
#include "pg/session.h"
#include "plan_data/plan.h"

/* What to examine of a table. */
struct code_scope {
    const char *table;                 /* qualified and quoted; a table that does not exist has no code */
    const struct string_list *trusted; /* roles */
    const struct string_list *allowed; /* oids of functions; or NULL */
    const struct string_list
        *retyped; /* columns with CHECK constraints that ALTER TABLE itself evaluates; or NULL */
    const struct string_list *defaults; /* columns whose defaults are evaluated; or NULL */
    bool written;                       /* rows are written to it, so its triggers and rules run */
};

/* The code that runs: descriptions for messages, one a line. */
struct code_found {
    struct string_list lines;
    struct string_list oids;    /* of the functions */
    struct string_list owners;  /* the owners of the functions, each once */
    struct string_list allowed; /* oids of functions that ALTER TABLE itself runs as the session's role */
};

bool code_find(struct session *s, const struct code_scope *scope, struct code_found *found,
               struct error *err);
/* The same for a table of which only rows are written: its triggers, rules and defaults run. */
bool code_find_written(struct session *s, const char *table, const struct string_list *trusted,
                       struct code_found *found, struct error *err);
void code_found_free(struct code_found *found);

/* Sets the error: whose ("the tables have"), the code, and what the user can do. Returns false. */
bool code_found_refuse(const struct code_found *found, enum error_kind kind, const char *whose,
                       struct error *err);

/* What the user can do about it, as a hint. */
void code_hint(const struct code_found *found, struct buffer *hint);

/* The session's role owns the table: then there is nothing to look for. */
bool code_is_foreign(struct session *s, const char *owner, bool *foreign, struct error *err);

/*
 * To be called first in each transaction that moves or compares rows, before its first query. From then until
 * the end of the transaction nobody can add a trigger, an index or a constraint to the tables, and what they
 * have is examined. asker: if the snapshot of this session is older, a session with a snapshot of its own to
 * do that; else NULL. ERROR_FAILED if there is code that must not run. Costs nothing if the plan's tables
 * belong to the session's role.
 */
bool code_guard(struct session *s, struct session *asker, const struct plan *plan, struct error *err);

/* Only the examination, for a transaction that holds stronger locks on both tables. */
bool code_check(struct session *s, const struct plan *plan, struct error *err);

/* Examine the tables that the swaps of the set write, for a transaction that has locked them. ERROR_FAILED as above. */
bool code_check_written(struct session *s, const struct plan_set *set, struct error *err);

/* Names of the target's columns that get their values from defaults, once for each row. */
void code_defaults(const struct plan *plan, struct string_list *names);

#endif
