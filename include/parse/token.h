/* The user's text as tokens, and edits of it: pieces are replaced, everything else stays as typed. */
#ifndef PGRECAST_PARSE_TOKEN_H
#define PGRECAST_PARSE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"

struct token {
    int start; /* bytes */
    int end;   /* first byte after it */
    int kind;  /* the character, or a token number of libpg_query that only this module knows */
};

struct edit {
    int start;
    int end;
    const char *text; /* not owned: a constant, or kept by the list's owner */
};

struct token_text {
    const char *sql;
    int token_count; /* without comments */
    struct token *tokens;
    int edit_count;
    struct edit *edits;
};

bool tokens_scan(struct token_text *t, const char *sql, struct error *err);
void tokens_free(struct token_text *t);

/* The first token that starts at this byte or after it; token_count if there is none. */
int token_at(const struct token_text *t, int byte);
bool token_is(const struct token_text *t, int token, int kind);

/* The token after a name that may be qualified ("a", "a.b", "a.b.c") and starts at the token. */
int token_after_name(const struct token_text *t, int token);

/*
 * The next token of this kind outside parentheses and brackets, from from (inclusive) to to (exclusive); to
 * if there is none.
 */
int token_find_outside(const struct token_text *t, int from, int to, int kind);

void token_edit(struct token_text *t, int start, int end, const char *text);

/* The text of the bytes [start, end), trimmed, with the edits within them applied. */
char *token_render(const struct token_text *t, int start, int end);

/* The bytes as typed, trimmed. */
char *token_typed(const struct token_text *t, int start, int end);

#endif
