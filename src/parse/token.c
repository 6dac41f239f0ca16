#include "parse/token.h"

#include <stdlib.h>
#include <string.h>

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

#include "core/buffer.h"
#include "core/mem.h"

bool
tokens_scan(struct token_text *t, const char *sql, struct error *err)
{
    PgQueryScanResult scan = pg_query_scan(sql);
    PgQuery__ScanResult *result = NULL;

    *t = (struct token_text){.sql = sql};
    if (scan.error == NULL)
        result = pg_query__scan_result__unpack(NULL, scan.pbuf.len, (const uint8_t *)scan.pbuf.data);
    if (result == NULL) {
        error_set(err, ERROR_USAGE, "%s", scan.error != NULL ? scan.error->message : "cannot read the SQL");
        pg_query_free_scan_result(scan);
        return false;
    }
    t->tokens = mem_array(NULL, result->n_tokens + 1, sizeof(*t->tokens));
    for (size_t i = 0; i < result->n_tokens; i++) {
        const PgQuery__ScanToken *token = result->tokens[i];

        if (token->token != PG_QUERY__TOKEN__SQL_COMMENT && token->token != PG_QUERY__TOKEN__C_COMMENT)
            t->tokens[t->token_count++] =
                (struct token){.start = token->start, .end = token->end, .kind = (int)token->token};
    }
    pg_query__scan_result__free_unpacked(result, NULL);
    pg_query_free_scan_result(scan);
    return true;
}

void
tokens_free(struct token_text *t)
{
    free(t->tokens);
    free(t->edits);
    *t = (struct token_text){0};
}

int
token_at(const struct token_text *t, int byte)
{
    int i = 0;

    while (i < t->token_count && t->tokens[i].start < byte)
        i++;
    return i;
}

bool
token_is(const struct token_text *t, int token, int kind)
{
    return token < t->token_count && t->tokens[token].kind == kind;
}

int
token_after_name(const struct token_text *t, int token)
{
    token++;
    while (token_is(t, token, '.'))
        token += 2;
    return token < t->token_count ? token : t->token_count;
}

int
token_find_outside(const struct token_text *t, int from, int to, int kind)
{
    int depth = 0;

    for (int i = from; i < to && i < t->token_count; i++) {
        int at = t->tokens[i].kind;

        if (depth == 0 && at == kind)
            return i;
        if (at == '(' || at == '[')
            depth++;
        else if (at == ')' || at == ']')
            depth--;
    }
    return to;
}

void
token_edit(struct token_text *t, int start, int end, const char *text)
{
    int at = t->edit_count;

    t->edits = mem_array(t->edits, (size_t)t->edit_count + 1, sizeof(*t->edits));
    for (; at > 0 && t->edits[at - 1].start > start; at--)
        t->edits[at] = t->edits[at - 1];
    t->edits[at] = (struct edit){.start = start, .end = end, .text = text};
    t->edit_count++;
}

static char *
trimmed(const char *text, size_t len)
{
    while (len > 0 && strchr(" \t\r\n\f\v", text[0]) != NULL) {
        text++;
        len--;
    }
    while (len > 0 && strchr(" \t\r\n\f\v", text[len - 1]) != NULL)
        len--;
    return mem_strndup(text, len);
}

char *
token_typed(const struct token_text *t, int start, int end)
{
    return trimmed(t->sql + start, end > start ? (size_t)(end - start) : 0);
}

char *
token_render(const struct token_text *t, int start, int end)
{
    struct buffer out = {0};
    char *text;
    int at = start;

    for (int i = 0; i < t->edit_count; i++) {
        const struct edit *e = &t->edits[i];

        if (e->start < at || e->end > end)
            continue;
        buffer_add(&out, t->sql + at, (size_t)(e->start - at));
        buffer_add_text(&out, e->text);
        at = e->end;
    }
    buffer_add(&out, t->sql + at, (size_t)(end - at));
    text = trimmed(out.data, out.len);
    buffer_free(&out);
    return text;
}
