#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/table.h"
#include "core/mem.h"
#include "sql/sql.h"

#define FINGERPRINT "pgrecast_fingerprint" /* the prepared statement */

char *
table_fingerprint(struct session *s, oid_t oid, struct error *err)
{
    struct result r = {0};
    char *fingerprint = NULL;
    char text[16];

    snprintf(text, sizeof(text), "%u", oid);
    if (session_row(s, &r, err, sql_catalog_fingerprint, 1, text))
        fingerprint = mem_strdup(result_text(&r, 0, 0));
    result_free(&r);
    return fingerprint;
}

bool
table_fingerprint_prepare(struct session *s, struct error *err)
{
    return session_prepare(s, err, FINGERPRINT, sql_catalog_fingerprint);
}

void
table_fingerprint_add(struct pipeline *p, oid_t oid)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", oid);
    pipeline_add_prepared(p, FINGERPRINT, 1, text);
}

bool
table_fingerprint_same(const char *a, const char *b, bool indexes)
{
    const char *dot_a = strchr(a, '.'), *dot_b = strchr(b, '.');

    if (indexes || dot_a == NULL || dot_b == NULL)
        return strcmp(a, b) == 0;
    return strcmp(dot_a, dot_b) == 0;
}
