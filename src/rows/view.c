#include "rows/view.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/expressions.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "parse/expression.h"
#include "pg/sqlstate.h"
#include "sql/sql.h"
#include "view_functions.h"

#define VIEW_NAME "pgrecast_view"

bool
view_search_path(struct session *s, bool users, struct error *err)
{
    if (!users)
        return session_transport(s, err) &&
               session_execute(s, err, "SET LOCAL search_path TO ''; SET LOCAL default_tablespace TO ''");
    return session_evaluate(s, err) && session_users_path(s, err) &&
           session_execute(s, err, "SET LOCAL default_tablespace TO DEFAULT");
}

void
view_strip_schema(const char *schema, char *text)
{
    char *prefix = mem_printf("%s.", schema);
    char *at;

    while (text != NULL && (at = strstr(text, prefix)) != NULL)
        memmove(at, at + strlen(prefix), strlen(at + strlen(prefix)) + 1);
    free(prefix);
}

bool
view_blame(const char *schema, const char *text, struct error *err)
{
    view_strip_schema(schema, err->message);
    view_strip_schema(schema, err->detail);
    view_strip_schema(schema, err->hint);
    if (!err->connection_lost && !err->stopped)
        err->kind = sqlstate_is(err, SQLSTATE_INSUFFICIENT_PRIVILEGE) ? ERROR_REFUSED : ERROR_USAGE;
    return error_context(err, "the server does not accept \"%s\"", text);
}

static bool
view_refuse(const char *what, const char *reason, struct error *err)
{
    error_set(err, ERROR_REFUSED, "the %s %s", what, reason);
    return error_hint(
        err, "It is evaluated while rows are copied, again when they change, and to verify: it must depend "
             "on the row's columns only.");
}

static bool
view_judge(const struct view_place *v, const struct result *r, const char *what, struct error *err)
{
    char *text = NULL;
    bool ok = true;

    if (!row_null(r, 0, "volatile_functions"))
        text = mem_printf("calls a volatile function: %s", row_text(r, 0, "volatile_functions"));
    else if (!row_null(r, 0, "time_functions"))
        text = mem_printf("depends on the time: %s", row_text(r, 0, "time_functions"));
    else if (row_bool(r, 0, "reads_session"))
        text = mem_strdup("depends on the time or the session (CURRENT_DATE, CURRENT_USER, ...)");
    else if (row_bool(r, 0, "reads_whole_row"))
        text = mem_strdup("uses the row as a whole");
    else if (row_bool(r, 0, "reads_system_column"))
        text = mem_strdup("uses a system column");
    else if (row_bool(r, 0, "is_more"))
        text = mem_strdup("is more than an expression over one row");
    if (text != NULL) {
        ok = view_refuse(what, text, err);
        free(text);
    }
    if (!row_null(r, 0, "stable_functions"))
        list_addf(v->notes,
                  "the %s calls stable functions (%s): they must give the same answer while the job runs",
                  what, row_text(r, 0, "stable_functions"));
    return ok;
}

/* The text without " FROM scratch.table;" at its end. NULL if it does not end in that. */
static char *
without_from(const char *view, const char *relation)
{
    char *tail = mem_printf("FROM %s;", relation);
    size_t len = strlen(view);
    char *text = NULL;

    if (len > strlen(tail) && strcmp(view + len - strlen(tail), tail) == 0)
        text = mem_strndup(view, len - strlen(tail));
    free(tail);
    return text;
}

static bool
read_reads(const struct view_place *v, bool *reads, int reads_count, struct error *err)
{
    struct result r = {0};

    if (!session_query(v->s, &r, err, sql_plan_view_reads, 3, v->schema, VIEW_NAME, v->oid))
        return false;
    for (int i = 0; i < result_rows(&r); i++) {
        int64_t attnum = row_int(&r, i, "refobjsubid");

        if (attnum <= reads_count)
            reads[attnum] = true;
    }
    result_free(&r);
    return true;
}

static bool
view_uses(const struct view_place *v, struct uses *uses, struct error *err)
{
    char *name = mem_printf("%s." VIEW_NAME, v->schema);
    struct result r = {0};
    bool ok = session_row(v->s, &r, err,
                          "SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid AS classid, "
                          "$1::pg_catalog.regclass::pg_catalog.oid AS oid",
                          1, name);

    if (ok) {
        struct object_id object = {(oid_t)row_uint(&r, 0, "classid"), (oid_t)row_uint(&r, 0, "oid")};

        ok = uses_read(v->s, &object, 1, uses, err);
    }
    result_free(&r);
    free(name);
    return ok;
}

/* text: as typed. */
static bool
view_refuse_reading(const char *what, const char *text, const char *difference, struct error *err)
{
    struct expression_form form;

    error_set(err, ERROR_REFUSED, "the %s needs operators of a search_path: %s", what, difference);
    if (expression_unnamed_operator(text, &form)) {
        error_detail(err,
                     "It runs with an empty search_path, where %s, which names no operator, finds another "
                     "one than here.",
                     form.form);
        return error_hint(err, "Write it with a comparison, which is stored with its operator: %s",
                          form.instead);
    }
    error_detail(err, "It runs with an empty search_path, where IS DISTINCT FROM, NULLIF, CASE x WHEN and "
                      "comparisons of rows "
                      "find other operators than here.");
    return error_hint(
        err, "Write it with comparisons that name their operator: CASE WHEN mail = 'root' THEN ... instead "
             "of CASE mail WHEN 'root' THEN ...");
}

/* The text that was read back is run later, with an empty search_path: it must mean the same there. */
static bool
view_prove(const struct view_place *v, const char *definition, const char *text, const char *what,
           struct error *err)
{
    struct uses uses = {0}, again = {0};
    bool ok = view_uses(v, &uses, err) && view_check_functions(v, &uses, what, err);
    char *path = ok ? uses_path(&uses) : NULL, *difference = NULL;

    if (path != NULL) {
        ok = session_executef(v->s, err, "DROP VIEW %s." VIEW_NAME "; SAVEPOINT pgrecast_view", v->schema);
        if (ok && !session_executef(v->s, err, "CREATE VIEW %s." VIEW_NAME " AS %s", v->schema, definition)) {
            if (!err->connection_lost && !err->stopped) {
                difference = mem_strdup(err->message);
                error_clear(err);
                view_strip_schema(v->schema, difference);
                ok = view_refuse_reading(what, text, difference, err);
            }
            ok = false;
        }
        ok = ok && view_uses(v, &again, err);
        if (ok && (difference = uses_difference(&uses, &again, NULL)) != NULL)
            ok = view_refuse_reading(what, text, difference, err);
    }
    uses_free(&uses);
    uses_free(&again);
    free(difference);
    free(path);
    return ok;
}

bool
view_read(const struct view_place *v, const char *list, const char *text, const char *what, char **view,
          bool *reads, int reads_count, struct error *err)
{
    char *self = name_qualified(v->schema, v->table);
    struct result r = {0};
    bool ok = view_search_path(v->s, true, err);

    if (ok &&
        !session_executef(v->s, err, "CREATE VIEW %s." VIEW_NAME " AS %s FROM %s", v->schema, list, self))
        ok = view_blame(v->schema, text, err);
    ok = ok && view_search_path(v->s, false, err) &&
         session_row(v->s, &r, err, sql_plan_view, 3, v->schema, VIEW_NAME, v->oid) &&
         view_judge(v, &r, what, err) && (reads == NULL || read_reads(v, reads, reads_count, err)) &&
         view_prove(v, row_text(&r, 0, "definition"), text, what, err);
    if (ok) {
        *view = without_from(row_text(&r, 0, "definition"), row_text(&r, 0, "relation"));
        if (*view == NULL)
            ok = error_set(err, ERROR_FAILED, "the server's text of the %s does not end as expected", what);
    }
    ok = ok && session_executef(v->s, err, "DROP VIEW %s." VIEW_NAME, v->schema);
    result_free(&r);
    free(self);
    return ok;
}
