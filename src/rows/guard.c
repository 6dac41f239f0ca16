#include "rows/guard.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

#define GUARD "pgrecast_guard:" /* then the position, and a semicolon */

void
guard_add(struct buffer *sql, int column, const char *value)
{
    buffer_printf(
        sql, "CAST('" GUARD "%d;' || pg_catalog.left(CAST(%s AS pg_catalog.text), 0) AS pg_catalog.bool)",
        column, value);
}

char *
guard_reason(const struct plan *back, const struct error *err)
{
    const char *at = strcmp(err->sqlstate, "22P02") == 0 ? strstr(err->message, GUARD) : NULL;
    const struct column *made;
    char *end;
    long column;

    if (at == NULL)
        return NULL;
    column = strtol(at + strlen(GUARD), &end, 10);
    if (*end != ';' || column < 0 || column >= back->target->column_count)
        return NULL;
    made = table_column(back->source, (int)column + 1);
    return made == NULL ? NULL
                        : mem_printf("a value of column %s does not fit %s", made->name,
                                     back->target->columns[column].type);
}
