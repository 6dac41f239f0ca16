#include "view_functions.h"

#include <stdlib.h>
#include <string.h>

#include "core/list.h"
#include "core/mem.h"
#include "sql/sql.h"

static bool
find_functions(const struct view_place *v, const struct uses *uses, struct result *r, struct error *err)
{
    struct buffer functions = {0}, operators = {0};
    struct params p = {0};
    bool ok;

    for (int i = 0; i < uses->count; i++) {
        const struct use *u = &uses->items[i];

        if (strcmp(u->kind, "function") == 0)
            array_add(&functions, u->identity);
        else if (strcmp(u->kind, "operator") == 0)
            array_add(&operators, u->identity);
    }
    params_text(&p, array_end(&functions));
    params_text(&p, array_end(&operators));
    ok = session_query_with(v->s, r, err, sql_plan_path_functions, &p);
    buffer_free(&functions);
    buffer_free(&operators);
    return ok;
}

bool
view_check_body(struct session *s, const char *oid, const char *function, const char *what, struct error *err)
{
    struct error failed = {0};

    if (session_query(s, NULL, &failed, "SELECT pg_catalog.fmgr_sql_validator($1::pg_catalog.oid)", 1, oid))
        return true;
    if (failed.connection_lost || failed.stopped) {
        error_move(err, &failed);
        return false;
    }
    error_set(err, ERROR_REFUSED, "%s calls %s, which fails with an empty search_path: %s", what, function,
              failed.message);
    error_detail(err, "In this program's sessions it is empty.");
    error_hint(err, "ALTER FUNCTION %s SET search_path = pg_catalog, ..., pg_temp;", function);
    error_clear(&failed);
    return false;
}

bool
view_check_functions(const struct view_place *v, const struct uses *uses, const char *what, struct error *err)
{
    struct result r = {0};
    bool ok = find_functions(v, uses, &r, err);

    for (int i = 0; ok && i < result_rows(&r); i++) {
        const char *function = row_text(&r, i, "function");
        char *expression = mem_printf("the %s", what);
        char *note =
            mem_printf("the %s calls %s, which runs with an empty search_path in this program's sessions: "
                       "if it relies on another one, it fails or its results differ (ALTER FUNCTION %s "
                       "SET search_path = ... makes it safe)",
                       what, function, function);

        ok = !row_bool(&r, i, "is_sql") ||
             view_check_body(v->s, row_text(&r, i, "oid"), function, expression, err);
        list_add_once(v->notes, note);
        free(expression);
        free(note);
    }
    result_free(&r);
    return ok;
}
