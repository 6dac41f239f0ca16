#include "clone_statement.h"

#include <stdlib.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "sql/sql.h"
#include "verdict.h"

/*
 * Objects that the clone lacks, but because of which PostgreSQL refuses the clause on the table itself: views,
 * triggers, policies, functions and publications that use the column. NULL: there are none.
 */
static char *
find_users(struct clone *c, const struct clause *clause)
{
    struct params p = {0};
    struct result r = {0};
    struct error ignored = {0};
    char *users = NULL;

    if ((!clause->sets_type && !clause->drops_column) || clause->column == NULL)
        return NULL;
    params_uint(&p, c->source->oid);
    params_text(&p, c->oid);
    params_text(&p, clause->column);
    params_text(&p, clause->sets_type ? "true" : "false");
    if (session_row_with(c->s, &r, &ignored, sql_plan_column_users, &p))
        users = row_copy(&r, 0, "users");
    result_free(&r);
    error_clear(&ignored);
    return users;
}

static struct plan_verdict
judge(const char *notices, const char *text, const struct clause *clause, char *users)
{
    struct plan_verdict verdict = verdict_of(notices, text, clause);

    if (users != NULL)
        verdict.kind = VERDICT_REFUSED;
    verdict.users = users;
    return verdict;
}

/*
 * Run each clause by itself. False if a clause cannot run alone: then the statement has to be run as a whole.
 */
static bool
judge_clauses(struct clone *c, const struct statement *statement, struct plan_verdict_list *verdicts)
{
    struct plan_verdict *found = mem_alloc(((size_t)statement->clause_count + 1) * sizeof(*found));
    struct error ignored = {0};
    struct buffer notices = {0};
    bool ok = true;

    session_collect_notices(c->s, &notices);
    for (int pass = 0; pass <= LAST_CLAUSE_PASS; pass++) {
        for (int i = 0; ok && i < statement->clause_count; i++) {
            const struct clause *clause = &statement->clauses[i];
            char *users;

            if (clause->pass != pass)
                continue;
            users = find_users(c, clause);
            buffer_reset(&notices);
            ok = clone_execute(c, clause->sql, &ignored);
            found[i] = judge(notices.data != NULL ? notices.data : "", clause->text, clause, users);
        }
    }
    session_collect_notices(c->s, NULL);
    for (int i = 0; i < statement->clause_count; i++)
        if (ok)
            verdicts_add(verdicts, found[i]);
        else
            verdict_clear(&found[i]);
    free(found);
    error_clear(&ignored);
    buffer_free(&notices);
    return ok;
}

/* Run the statement as a whole, because its clauses cannot run alone. */
static bool
judge_whole(struct clone *c, const struct statement *statement, struct plan_verdict_list *verdicts,
            struct error *err)
{
    struct buffer notices = {0};
    char *users = NULL;
    bool ok = session_execute(c->s, err, "ROLLBACK TO SAVEPOINT pgrecast_clauses");

    for (int i = 0; ok && users == NULL && i < statement->clause_count; i++)
        users = find_users(c, &statement->clauses[i]);

    session_collect_notices(c->s, &notices);
    if (ok && !clone_execute(c, statement->sql, err))
        ok = clone_blame(c, statement, err);
    session_collect_notices(c->s, NULL);
    if (ok)
        verdicts_add(verdicts, judge(notices.data != NULL ? notices.data : "", statement->text,
                                     &statement->clauses[0], users));
    else
        free(users);
    buffer_free(&notices);
    return ok;
}

/* Find the statements' verdicts by running them on the clone, then undo that. */
bool
clone_judge_statements(struct clone *c, struct error *err)
{
    bool ok = session_execute(c->s, err,
                              "SAVEPOINT pgrecast_judge; SET LOCAL client_min_messages TO debug1; "
                              "SET LOCAL default_tablespace TO DEFAULT") &&
              session_users_path(c->s, err);

    for (int i = 0; ok && i < c->statements->count; i++) {
        const struct statement *statement = &c->statements->items[i];

        ok = clone_release_generated(c, statement, NULL, err) &&
             session_execute(c->s, err, "SAVEPOINT pgrecast_clauses") &&
             (judge_clauses(c, statement, &c->result->verdicts) ||
              judge_whole(c, statement, &c->result->verdicts, err));
    }
    return ok && session_execute(c->s, err, "ROLLBACK TO SAVEPOINT pgrecast_judge");
}
