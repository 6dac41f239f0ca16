#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/table.h"
#include "core/mem.h"
#include "sql/sql.h"

static char *
take(struct session *s, const char *sql, int nparams, const char *param, struct error *err)
{
    struct result r = {0};
    char *fingerprint = NULL;

    if (session_row(s, &r, err, sql, nparams, param))
        fingerprint = mem_strdup(result_text(&r, 0, 0));
    result_free(&r);
    return fingerprint;
}

char *
table_fingerprint(struct session *s, oid_t oid, struct error *err)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", oid);
    return take(s, sql_catalog_fingerprint, 1, text, err);
}

bool
table_fingerprint_prepare(struct session *s, struct error *err)
{
    char *sql = mem_printf("PREPARE pgrecast_fingerprint AS %s", sql_catalog_fingerprint);
    struct result r = {0};
    bool ok = session_query(
        s, &r, err, "SELECT FROM pg_catalog.pg_prepared_statements WHERE name = 'pgrecast_fingerprint'", 0);

    if (ok && result_rows(&r) == 0)
        ok = session_execute(s, err, "SET plan_cache_mode = force_generic_plan") &&
             session_execute(s, err, sql);
    result_free(&r);
    free(sql);
    return ok;
}

char *
table_fingerprint_prepared(struct session *s, oid_t oid, struct error *err)
{
    char sql[64];

    snprintf(sql, sizeof(sql), "EXECUTE pgrecast_fingerprint ('%u')", oid);
    return take(s, sql, 0, NULL, err);
}

bool
table_fingerprint_same(const char *a, const char *b, bool indexes)
{
    const char *dot_a = strchr(a, '.'), *dot_b = strchr(b, '.');

    if (indexes || dot_a == NULL || dot_b == NULL)
        return strcmp(a, b) == 0;
    return strcmp(dot_a, dot_b) == 0;
}
