#include "core/name.h"

#include <string.h>

#include "core/buffer.h"

char *
name_qualified(const char *schema, const char *name)
{
    struct buffer text = {0};

    buffer_add_identifier(&text, schema);
    buffer_add_char(&text, '.');
    buffer_add_identifier(&text, name);
    return buffer_take(&text);
}

char *
name_quoted(const char *name)
{
    struct buffer text = {0};

    buffer_add_identifier(&text, name);
    return buffer_take(&text);
}

bool
name_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}
