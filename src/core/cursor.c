#include "core/cursor.h"

#include <string.h>

const char *
cursor_string(struct cursor *cur)
{
    const char *at = (const char *)cur->next;
    const char *end = cur->failed ? NULL : memchr(at, '\0', cursor_left(cur));

    if (end == NULL) {
        cur->failed = true;
        return NULL;
    }
    cur->next += end - at + 1;
    return at;
}
