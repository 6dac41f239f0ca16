#include "parse/directive.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "framing.h"
#include "tree.h"

#define MARK "pgrecast:"
#define BLANKS " \t\r"

static struct directive *
directive_add(struct directive_list *out, int byte)
{
    out->items = mem_array(out->items, (size_t)out->count + 1, sizeof(*out->items));
    out->items[out->count] = (struct directive){.byte = byte};
    return &out->items[out->count++];
}

/* The value that begins here. Returns what follows it, or NULL if its quote is not closed. */
static const char *
read_value(const char *at, const char *end, struct directive *d)
{
    struct buffer value = {0};

    buffer_add(&value, "", 0);
    if (at < end && *at != '\'') {
        size_t length = 0;

        while (at + length < end && strchr(BLANKS, at[length]) == NULL)
            length++;
        buffer_add(&value, at, length);
        d->value = buffer_take(&value);
        return at + length;
    }
    for (at++; at < end; at++) {
        if (*at != '\'') {
            buffer_add_char(&value, *at);
        } else if (at + 1 < end && at[1] == '\'') {
            buffer_add_char(&value, *at++);
        } else {
            d->value = buffer_take(&value);
            return at + 1;
        }
    }
    buffer_free(&value);
    return NULL;
}

/* The directives of one comment. */
static bool
read_comment(const char *sql, const char *at, const char *end, struct directive_list *out, struct error *err)
{
    while (at != NULL && at < end) {
        size_t length = 0;
        struct directive *d;

        if (strchr(BLANKS, *at) != NULL) {
            at++;
            continue;
        }
        d = directive_add(out, (int)(at - sql));
        while (at + length < end && strchr("=" BLANKS, at[length]) == NULL)
            length++;
        d->name = mem_strndup(at, length);
        at += length;
        if (at < end && *at == '=')
            at = read_value(at + 1, end, d);
        if (at == NULL) {
            error_set(err, ERROR_USAGE, "the value of \"%s\" has no closing quote", d->name);
            tree_point(sql, d->byte, err);
        }
    }
    return at != NULL;
}

/* What follows the mark, if the comment "-- …" has one; else NULL. */
static const char *
after_mark(const char *comment, const char *end)
{
    comment += 2;
    while (comment < end && strchr(BLANKS, *comment) != NULL)
        comment++;
    if ((size_t)(end - comment) < strlen(MARK) || strncmp(comment, MARK, strlen(MARK)) != 0)
        return NULL;
    return comment + strlen(MARK);
}

static bool
read_tokens(const char *sql, const PgQuery__ScanResult *scan, struct directive_list *out, struct error *err)
{
    bool ok = true;

    for (size_t i = 0; ok && i < scan->n_tokens; i++) {
        const PgQuery__ScanToken *token = scan->tokens[i];
        const char *end = sql + token->end, *text;

        if (token->token != PG_QUERY__TOKEN__SQL_COMMENT)
            continue;
        text = after_mark(sql + token->start, end);
        if (text != NULL)
            ok = read_comment(sql, text, end, out, err);
    }
    return ok;
}

bool
directives_read(const char *sql, struct directive_list *out, struct error *err)
{
    struct error ignored = {0};
    char *text = framing_without_psql(sql, &ignored);
    PgQueryScanResult scan = {0};
    PgQuery__ScanResult *tokens = NULL;
    bool ok = true;

    error_clear(&ignored);
    if (text == NULL)
        return true;
    scan = pg_query_scan(text);
    if (scan.error == NULL)
        tokens = pg_query__scan_result__unpack(NULL, scan.pbuf.len, (const uint8_t *)scan.pbuf.data);
    if (tokens != NULL) {
        ok = read_tokens(text, tokens, out, err);
        pg_query__scan_result__free_unpacked(tokens, NULL);
    }
    pg_query_free_scan_result(scan);
    free(text);
    return ok;
}

void
directives_free(struct directive_list *list)
{
    for (int i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].value);
    }
    free(list->items);
    *list = (struct directive_list){0};
}

void
directive_point(const char *sql, const struct directive *directive, struct error *err)
{
    tree_point(sql, directive->byte, err);
}
