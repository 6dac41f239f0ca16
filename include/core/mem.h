/*
 * Allocation that cannot fail: if memory runs out, the program ends in one place, with a message. The job on
 * the server survives that as it survives any crash.
 */
#ifndef PGRECAST_CORE_MEM_H
#define PGRECAST_CORE_MEM_H

#include <stdarg.h>
#include <stddef.h>

void *mem_alloc(size_t size);                               /* zeroed */
void *mem_realloc(void *ptr, size_t size);                  /* not zeroed */
void *mem_array(void *ptr, size_t count, size_t item_size); /* realloc to count items, overflow checked */
char *mem_strdup(const char *text);                         /* NULL gives NULL */
char *mem_strndup(const char *text, size_t len);
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *mem_vprintf(const char *fmt, va_list args);
void *mem_checked(void *ptr); /* ptr, which a library allocated: NULL is out of memory */

/*
 * The program has found a mistake of its own: it reports it and ends at once. Never used for input from
 * outside.
 */
_Noreturn void mem_mistake(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
