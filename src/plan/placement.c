#include "plan/placement.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "pg/params.h"
#include "sql/sql.h"
#include "clone.h"
#include "group.h"

static bool
refuse_tablespaces(struct session *s, const struct placement *placement, struct error *err)
{
    struct string_list reasons = {0};
    struct params p = {0};
    struct result r = {0};
    bool ok, denied = false;

    params_text(&p, placement->tablespace);
    params_text(&p, placement->indexes);
    ok = session_query_with(s, &r, err, sql_plan_tablespaces, &p);
    for (int i = 0; ok && i < result_rows(&r); i++) {
        const char *name = row_text(&r, i, "name");

        if (row_bool(&r, i, "missing"))
            list_addf(&reasons, "there is no tablespace \"%s\"", name);
        else if (row_bool(&r, i, "shared"))
            list_addf(&reasons, "tablespace \"%s\" is only for the tables that all databases share", name);
        else
            list_addf(&reasons, "the session's role may not create in tablespace \"%s\"", name);
        denied = denied || (!row_bool(&r, i, "missing") && !row_bool(&r, i, "shared"));
    }
    result_free(&r);
    if (ok && reasons.count > 0) {
        char *all = list_join(&reasons, "; ");

        ok = error_set(err, ERROR_REFUSED, "cannot move the table: %s", all);
        if (denied)
            error_hint(err, "GRANT CREATE ON TABLESPACE to the session's role.");
        free(all);
    }
    list_free(&reasons);
    return ok;
}

static bool
add_table(struct session *s, const struct placement *placement, oid_t oid, struct string_list *out,
          struct error *err)
{
    struct params p = {0};
    struct result r = {0};
    bool ok;

    params_uint(&p, oid);
    params_text(&p, placement->tablespace);
    params_text(&p, placement->indexes);
    ok = session_query_with(s, &r, err, sql_plan_placement, &p);
    for (int i = 0; ok && i < result_rows(&r); i++)
        list_add(out, row_copy(&r, i, "statement"));
    result_free(&r);
    return ok;
}

/* The statements set the search_path before the first of them, so what is put in front sets the same. */
static void
add_path(const char *path, struct string_list *out)
{
    struct buffer sql = {0};

    if (path == NULL)
        return;
    buffer_add_text(&sql, "SELECT pg_catalog.set_config('search_path', ");
    buffer_add_literal(&sql, path);
    buffer_add_text(&sql, ", false)");
    list_add(out, buffer_take(&sql));
}

char *
placement_statements(struct session *s, const struct placement *placement, const struct plan_options *options,
                     struct error *err)
{
    struct table_groups groups = {0};
    struct string_list out = {0};
    char *sql = NULL;
    bool ok = session_execute(s, err, PLANNING_BEGIN) && refuse_tablespaces(s, placement, err) &&
              groups_read(s, options, &groups, err);

    if (ok)
        add_path(groups.search_path, &out);
    for (int i = 0; ok && i < groups.count; i++)
        ok = add_table(s, placement, groups.items[i].oid, &out, err);
    session_rollback(s);
    session_set_users_path(s, NULL);
    if (ok) {
        if (options->sql != NULL)
            list_add(&out, mem_strdup(options->sql));
        sql = list_join(&out, ";\n");
    }
    list_free(&out);
    groups_free(&groups);
    return sql;
}
