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
