#include "row_operators.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "parse/token.h"

static bool
token_reads_word(const struct token_text *t, int token, const char *word)
{
    size_t len = strlen(word);

    return token >= 0 && token < t->token_count &&
           (size_t)(t->tokens[token].end - t->tokens[token].start) == len &&
           strncmp(t->sql + t->tokens[token].start, word, len) == 0;
}

/* Whether the token closes a list with several items: "(a, b)". */
static bool
closes_row(const struct token_text *t, int token)
{
    int depth = 0;

    if (token < 0 || !token_is(t, token, ')'))
        return false;
    for (int i = token; i >= 0; i--) {
        if (token_is(t, i, ')'))
            depth++;
        else if (token_is(t, i, '(') && --depth == 0)
            return false;
        else if (token_is(t, i, ',') && depth == 1)
            return true;
    }
    return false;
}

bool
row_operators_bare(char **sql, struct error *err)
{
    struct token_text t;
    char *text;

    if (strstr(*sql, "OPERATOR(") == NULL)
        return true;
    if (!tokens_scan(&t, *sql, err))
        return false;
    for (int i = 0; i + 5 < t.token_count; i++) {
        if (!token_reads_word(&t, i, "OPERATOR") || !token_is(&t, i + 1, '(') || !token_is(&t, i + 3, '.') ||
            !token_is(&t, i + 5, ')') || !closes_row(&t, i - 1))
            continue;
        if (!token_reads_word(&t, i + 6, "ROW") && !token_reads_word(&t, i + 6, "ANY") &&
            !token_reads_word(&t, i + 6, "ALL") && !token_is(&t, i + 6, '('))
            continue;
        token_edit(&t, t.tokens[i].start, t.tokens[i + 4].start, "");
        token_edit(&t, t.tokens[i + 5].start, t.tokens[i + 5].end, "");
    }
    text = token_render(&t, 0, (int)strlen(*sql));
    tokens_free(&t);
    free(*sql);
    *sql = text;
    return true;
}
