#include "core/list.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"

void
list_add(struct string_list *list, char *text)
{
    list->items = mem_array(list->items, (size_t)list->count + 1, sizeof(*list->items));
    list->items[list->count++] = text;
}

void
list_addf(struct string_list *list, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    list_add(list, mem_vprintf(fmt, args));
    va_end(args);
}

void
list_add_all(struct string_list *list, const struct string_list *from)
{
    for (int i = 0; i < from->count; i++)
        list_add(list, mem_strdup(from->items[i]));
}

void
list_add_once(struct string_list *list, const char *text)
{
    if (!list_has(list, text))
        list_add(list, mem_strdup(text));
}

bool
list_has(const struct string_list *list, const char *text)
{
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->items[i], text) == 0)
            return true;
    return false;
}

void
list_free(struct string_list *list)
{
    for (int i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    list->items = NULL;
    list->count = 0;
}

char *
list_join(const struct string_list *list, const char *separator)
{
    struct buffer text = {0};

    buffer_add_text(&text, "");
    for (int i = 0; i < list->count; i++)
        buffer_printf(&text, "%s%s", i > 0 ? separator : "", list->items[i]);
    return buffer_take(&text);
}

char *
statements_join(const struct string_list *list)
{
    return list_join(list, ";\n");
}
