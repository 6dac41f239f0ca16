/* What the server calls where a value of one type is given to a column of another one: casts, and checks of domains. */
#include <stdlib.h>

#include "catalog/expressions.h"
#include "core/mem.h"
#include "core/name.h"
#include "sql/sql.h"
#include "view_functions.h"

#define CONVERSION_NAME "pgrecast_conversion"

bool
view_type_of(const struct view_place *v, const char *expr, char **type, struct error *err)
{
    char *self = mem_printf("%s." CONVERSION_NAME, v->schema);
    char *table = name_qualified(v->schema, v->table);
    struct result r = {0};
    bool ok =
        view_search_path(v->s, true, err) &&
        session_executef(v->s, err, "CREATE VIEW %s AS SELECT (%s\n) AS c1 FROM %s", self, expr, table) &&
        view_search_path(v->s, false, err) &&
        session_row(v->s, &r, err,
                    "SELECT pg_catalog.format_type(a.atttypid, a.atttypmod) AS type "
                    "FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = $1::pg_catalog.regclass",
                    1, self);

    if (ok)
        *type = row_copy(&r, 0, "type");
    ok = ok && session_executef(v->s, err, "DROP VIEW %s", self);
    result_free(&r);
    free(table);
    free(self);
    return ok;
}

static bool
read_uses(const struct view_place *v, const char *self, const char *to, const char *what, struct error *err)
{
    struct result r = {0};
    bool ok = session_query(v->s, &r, err, sql_plan_conversion, 2, self, to);

    for (int i = 0; ok && i < result_rows(&r); i++) {
        struct object_id object = {(oid_t)row_uint(&r, i, "classid"), (oid_t)row_uint(&r, i, "oid")};
        struct uses uses = {0};

        ok = uses_read(v->s, &object, 1, &uses, err) && view_check_functions(v, &uses, what, err);
        uses_free(&uses);
    }
    result_free(&r);
    return ok;
}

bool
view_check_conversion(const struct view_place *v, const char *from, const char *to, const char *column,
                      struct error *err)
{
    char *self = mem_printf("%s." CONVERSION_NAME, v->schema);
    char *what = mem_printf("conversion of column \"%s\"", column);
    struct error failed = {0};
    bool ok = session_execute(v->s, err, "SAVEPOINT pgrecast_conversion");

    /* no value is converted */
    if (ok && session_executef(v->s, &failed, "CREATE VIEW %s AS SELECT CAST(CAST(NULL AS %s) AS %s) AS c1",
                               self, from, to)) {
        ok = read_uses(v, self, to, what, err) && session_executef(v->s, err, "DROP VIEW %s", self);
    } else if (failed.connection_lost || failed.stopped) {
        error_move(err, &failed);
        ok = false;
    } else if (ok) { /* there is no such cast: a literal, or a row, is read as the type */
        ok = session_execute(v->s, err, "ROLLBACK TO SAVEPOINT pgrecast_conversion");
    }
    ok = ok && session_execute(v->s, err, "RELEASE SAVEPOINT pgrecast_conversion");
    error_clear(&failed);
    free(what);
    free(self);
    return ok;
}
