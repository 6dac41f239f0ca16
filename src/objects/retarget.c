#include "retarget.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "parse/token.h"

void
retarget_add(struct retarget *map, const char *schema, const char *name, const char *to)
{
    map->items = mem_array(map->items, (size_t)map->count + 1, sizeof(*map->items));
    map->items[map->count++] = (struct retarget_name){mem_strdup(schema), mem_strdup(name), mem_strdup(to)};
}

void
retarget_drop_last(struct retarget *map)
{
    struct retarget_name *last = &map->items[--map->count];

    free(last->schema);
    free(last->name);
    free(last->to);
}

bool
retarget_has(const struct retarget *map, const char *schema, const char *name)
{
    for (int i = 0; i < map->count; i++)
        if (strcmp(map->items[i].schema, schema) == 0 && strcmp(map->items[i].name, name) == 0)
            return true;
    return false;
}

void
retarget_free(struct retarget *map)
{
    while (map->count > 0)
        retarget_drop_last(map);
    free(map->items);
    *map = (struct retarget){0};
}

static bool
token_reads(const struct token_text *t, int token, const char *text)
{
    size_t len = strlen(text);

    return token < t->token_count && (size_t)(t->tokens[token].end - t->tokens[token].start) == len &&
           strncmp(t->sql + t->tokens[token].start, text, len) == 0;
}

char *
retarget_statement(const struct retarget *map, const char *sql, struct error *err)
{
    struct token_text t;
    char *text;

    if (!tokens_scan(&t, sql, err))
        return NULL;
    for (int i = 0; i + 2 < t.token_count; i++) {
        if (!token_is(&t, i + 1, '.') || (i > 0 && token_is(&t, i - 1, '.')))
            continue;
        for (int k = 0; k < map->count; k++) {
            if (!token_reads(&t, i, map->items[k].schema) || !token_reads(&t, i + 2, map->items[k].name))
                continue;
            token_edit(&t, t.tokens[i].start, t.tokens[i].end, map->items[k].to);
            break;
        }
    }
    text = token_render(&t, 0, (int)strlen(sql));
    tokens_free(&t);
    return text;
}
