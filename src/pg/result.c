/* What a statement has returned, by the names of its columns. */
#include <stdlib.h>

#include "core/lsn.h"
#include "core/mem.h"
#include "pg/session.h"

void
result_free(struct result *r)
{
    PQclear(r->res);
    r->res = NULL;
}

int
result_rows(const struct result *r)
{
    return r->res == NULL ? 0 : PQntuples(r->res);
}

const char *
result_text(const struct result *r, int row, int col)
{
    return PQgetisnull(r->res, row, col) ? NULL : PQgetvalue(r->res, row, col);
}

/* The position of the column of that name. */
static int
column_of(const struct result *r, const char *name)
{
    int col = PQfnumber(r->res, name);

    if (col < 0)
        mem_mistake("a result has no column of the name \"%s\"", name);
    return col;
}

bool
row_null(const struct result *r, int row, const char *column)
{
    return PQgetisnull(r->res, row, column_of(r, column));
}

const char *
row_text(const struct result *r, int row, const char *column)
{
    return result_text(r, row, column_of(r, column));
}

char *
row_copy(const struct result *r, int row, const char *column)
{
    return mem_strdup(row_text(r, row, column));
}

int64_t
row_int(const struct result *r, int row, const char *column)
{
    const char *text = row_text(r, row, column);

    return text == NULL ? 0 : strtoll(text, NULL, 10);
}

uint64_t
row_uint(const struct result *r, int row, const char *column)
{
    const char *text = row_text(r, row, column);

    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

double
row_real(const struct result *r, int row, const char *column)
{
    const char *text = row_text(r, row, column);

    return text == NULL ? 0 : strtod(text, NULL);
}

lsn_t
row_lsn(const struct result *r, int row, const char *column)
{
    const char *text = row_text(r, row, column);
    lsn_t lsn = 0;

    if (text != NULL)
        lsn_parse(text, &lsn);
    return lsn;
}

bool
row_bool(const struct result *r, int row, const char *column)
{
    const char *text = row_text(r, row, column);

    return text != NULL && text[0] == 't';
}

int64_t
result_affected(const struct result *r)
{
    return r->res == NULL ? 0 : strtoll(PQcmdTuples(r->res), NULL, 10);
}
