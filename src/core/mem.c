#include "core/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *
mem_checked(void *ptr)
{
    if (ptr == NULL) {
        fputs("pgrecast: out of memory\n", stderr);
        abort();
    }
    return ptr;
}

void *
mem_alloc(size_t size)
{
    return mem_checked(calloc(1, size > 0 ? size : 1));
}

void *
mem_realloc(void *ptr, size_t size)
{
    return mem_checked(realloc(ptr, size > 0 ? size : 1));
}

void *
mem_array(void *ptr, size_t count, size_t item_size)
{
    size_t size;

    if (__builtin_mul_overflow(count, item_size, &size))
        mem_checked(NULL);
    return mem_realloc(ptr, size);
}

char *
mem_strdup(const char *text)
{
    return text == NULL ? NULL : mem_checked(strdup(text));
}

char *
mem_strndup(const char *text, size_t len)
{
    return mem_checked(strndup(text, len));
}

char *
mem_vprintf(const char *fmt, va_list args)
{
    char *out = NULL;

    if (vasprintf(&out, fmt, args) < 0)
        mem_checked(NULL);
    return out;
}

char *
mem_printf(const char *fmt, ...)
{
    va_list args;
    char *out;

    va_start(args, fmt);
    out = mem_vprintf(fmt, args);
    va_end(args);
    return out;
}

void
mem_mistake(const char *fmt, ...)
{
    va_list args;

    fputs("pgrecast: a mistake in this program: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}
