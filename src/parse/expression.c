#include "parse/expression.h"

#include <stdlib.h>

#include "core/mem.h"
#include "parse/token.h"
#include "tree.h"

/* Whether the parenthesis that opens with the text's second token is closed by its last one. */
static bool
stays_inside(const struct token_text *tokens)
{
    int depth = 0;

    for (int i = 1; i < tokens->token_count; i++) {
        depth += token_is(tokens, i, '(') ? 1 : token_is(tokens, i, ')') ? -1 : 0;
        if (depth == 0)
            return i == tokens->token_count - 1;
    }
    return false;
}

bool
expression_check(const char *text, struct error *err)
{
    char *sql = mem_printf("SELECT (%s\n)", text);
    PgQuery__ParseResult *tree = tree_parse(sql, err);
    struct token_text tokens = {0};
    bool ok = tree != NULL && tokens_scan(&tokens, sql, err);

    if (tree == NULL)
        error_detail(err, "In: %s", text); /* positions in the error are not those of the text */
    if (ok && (tree->n_stmts != 1 || !stays_inside(&tokens) ||
               tree->stmts[0]->stmt->node_case != PG_QUERY__NODE__NODE_SELECT_STMT))
        ok = error_set(err, ERROR_USAGE, "not an expression: %s", text);
    tokens_free(&tokens);
    if (tree != NULL)
        pg_query__parse_result__free_unpacked(tree, NULL);
    free(sql);
    return ok;
}

/* The form that begins at a token, or NULL. */
static const struct expression_form *
form_at(const struct token_text *tokens, int at)
{
    static const struct expression_form simple_case = {"CASE a WHEN b THEN ... END",
                                                       "CASE WHEN a = b THEN ... END"};
    static const struct expression_form null_if = {"NULLIF(a, b)", "CASE WHEN a = b THEN NULL ELSE a END"};
    static const struct expression_form distinct = {
        "a IS DISTINCT FROM b",
        "CASE WHEN a IS NULL OR b IS NULL THEN (a IS NULL) <> (b IS NULL) ELSE a <> b END"};
    static const struct expression_form same = {
        "a IS NOT DISTINCT FROM b",
        "CASE WHEN a IS NULL OR b IS NULL THEN (a IS NULL) = (b IS NULL) ELSE a = b END"};
    int next = at + 1;

    if (token_is(tokens, at, PG_QUERY__TOKEN__CASE) && !token_is(tokens, next, PG_QUERY__TOKEN__WHEN))
        return &simple_case;
    if (token_is(tokens, at, PG_QUERY__TOKEN__NULLIF))
        return &null_if;
    if (!token_is(tokens, at, PG_QUERY__TOKEN__IS))
        return NULL;
    if (token_is(tokens, next, PG_QUERY__TOKEN__DISTINCT))
        return &distinct;
    return token_is(tokens, next, PG_QUERY__TOKEN__NOT) &&
                   token_is(tokens, next + 1, PG_QUERY__TOKEN__DISTINCT)
               ? &same
               : NULL;
}

bool
expression_unnamed_operator(const char *text, struct expression_form *form)
{
    const struct expression_form *found = NULL;
    struct token_text tokens = {0};
    struct error ignored = {0};

    if (tokens_scan(&tokens, text, &ignored))
        for (int i = 0; found == NULL && i < tokens.token_count; i++)
            found = form_at(&tokens, i);
    if (found != NULL)
        *form = *found;
    tokens_free(&tokens);
    error_clear(&ignored);
    return found != NULL;
}
