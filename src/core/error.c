#include "core/error.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

bool
error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
{
    va_list args;
    char *message;

    va_start(args, fmt);
    message = mem_vprintf(fmt, args); /* before the clear: an argument may be the old message */
    va_end(args);
    error_clear(err);
    err->kind = kind;
    err->message = message;
    return false;
}

bool
error_nothing(struct error *err, const char *fmt, ...)
{
    va_list args;
    char *message;

    va_start(args, fmt);
    message = mem_vprintf(fmt, args);
    va_end(args);
    error_clear(err);
    err->nothing = true;
    err->message = message;
    return false;
}

bool
error_context(struct error *err, const char *fmt, ...)
{
    va_list args;
    char *context, *message;

    va_start(args, fmt);
    context = mem_vprintf(fmt, args);
    va_end(args);
    message = mem_printf("%s: %s", context, err->message != NULL ? err->message : "");
    free(context);
    free(err->message);
    err->message = message;
    return false;
}

static void
error_replace(char **slot, const char *fmt, va_list args)
{
    char *text = mem_vprintf(fmt, args);

    free(*slot);
    *slot = text;
}

bool
error_detail(struct error *err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    error_replace(&err->detail, fmt, args);
    va_end(args);
    return false;
}

bool
error_hint(struct error *err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    error_replace(&err->hint, fmt, args);
    va_end(args);
    return false;
}

const char *
error_hint_separator(const char *hint)
{
    size_t len = hint != NULL ? strlen(hint) : 0;

    return len == 0 ? "" : hint[len - 1] == '.' ? " " : "\n";
}

void
error_move(struct error *to, struct error *from)
{
    error_clear(to);
    *to = *from;
    memset(from, 0, sizeof(*from));
}

void
error_copy(struct error *to, const struct error *from)
{
    error_clear(to);
    *to = *from;
    to->message = from->message != NULL ? mem_strdup(from->message) : NULL;
    to->detail = from->detail != NULL ? mem_strdup(from->detail) : NULL;
    to->hint = from->hint != NULL ? mem_strdup(from->hint) : NULL;
}

void
error_clear(struct error *err)
{
    if (err == NULL)
        return;
    free(err->message);
    free(err->detail);
    free(err->hint);
    memset(err, 0, sizeof(*err));
}
