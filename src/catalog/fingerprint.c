#include <stdlib.h>
#include <string.h>

#include "catalog/table.h"
#include "core/mem.h"
#include "sql/sql.h"

#define VERSIONS "pgrecast_versions" /* the prepared statement */

bool
table_definition_read(struct session *s, oid_t oid, const char *own, struct table_definition *out,
                      struct error *err)
{
    struct result r = {0};
    struct params p = {0};
    char *oids = mem_printf("{%u}", oid);
    bool ok;

    memset(out, 0, sizeof(*out));
    params_text(&p, oids);
    params_text(&p, own);
    ok = session_row_with(s, &r, err, sql_catalog_fingerprint, &p);
    if (ok) {
        out->fingerprint = row_copy(&r, 0, "fingerprint");
        out->text = row_copy(&r, 0, "definition");
    }
    result_free(&r);
    free(oids);
    return ok;
}

void
table_definition_clear(struct table_definition *d)
{
    free(d->fingerprint);
    free(d->text);
    memset(d, 0, sizeof(*d));
}

char *
table_fingerprint(struct session *s, oid_t oid, struct error *err)
{
    struct table_definition d;
    char *fingerprint = NULL;

    if (table_definition_read(s, oid, "{}", &d, err)) {
        fingerprint = d.fingerprint;
        d.fingerprint = NULL;
    }
    table_definition_clear(&d);
    return fingerprint;
}

bool
table_versions_read(struct session *s, const char *oids, struct result *out, struct error *err)
{
    return session_query(s, out, err, sql_catalog_versions, 1, oids);
}

bool
table_versions_prepare(struct session *s, struct error *err)
{
    return session_prepare(s, err, VERSIONS, sql_catalog_versions);
}

void
table_versions_add(struct pipeline *p, const char *oids)
{
    pipeline_add_prepared(p, VERSIONS, 1, oids);
}

bool
table_fingerprint_same(const char *a, const char *b, bool indexes)
{
    const char *dot_a = strchr(a, '.'), *dot_b = strchr(b, '.');

    if (indexes || dot_a == NULL || dot_b == NULL)
        return strcmp(a, b) == 0;
    return strcmp(dot_a, dot_b) == 0;
}
