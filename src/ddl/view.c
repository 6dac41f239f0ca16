#include "ddl/view.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/list.h"
#include "ddl/names.h"
#include "sql/sql.h"

#define VIEW_NAME "pgrecast_view"

bool
view_search_path(struct session *s, bool users, struct error *err)
{
    return session_execute(s, err,
                           users ? "SET LOCAL search_path TO DEFAULT; SET LOCAL default_tablespace TO DEFAULT"
                                 : "SET LOCAL search_path TO ''; SET LOCAL default_tablespace TO ''");
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
        err->kind = strcmp(err->sqlstate, "42501") == 0 ? ERROR_REFUSED : ERROR_USAGE;
    return error_context(err, "the server does not accept \"%s\"", text);
}

static bool
refuse(const char *what, const char *reason, struct error *err)
{
    error_set(err, ERROR_REFUSED, "the %s %s", what, reason);
    return error_hint(
        err, "It is evaluated while rows are copied, again when they change, and to verify: it must depend "
             "on the row's columns only.");
}

static bool
judge(const struct view_place *v, const struct result *r, const char *what, struct error *err)
{
    char *text = NULL;
    bool ok = true;

    if (!result_null(r, 0, 1))
        text = mem_printf("calls a volatile function: %s", result_text(r, 0, 1));
    else if (!result_null(r, 0, 2))
        text = mem_printf("depends on the time: %s", result_text(r, 0, 2));
    else if (result_bool(r, 0, 3))
        text = mem_strdup("depends on the time or the session (CURRENT_DATE, CURRENT_USER, …)");
    else if (result_bool(r, 0, 4))
        text = mem_strdup("uses the row as a whole");
    else if (result_bool(r, 0, 5))
        text = mem_strdup("uses a system column");
    else if (result_bool(r, 0, 8))
        text = mem_strdup("is more than an expression over one row");
    if (text != NULL) {
        ok = refuse(what, text, err);
        free(text);
    }
    if (!result_null(r, 0, 6))
        list_addf(v->notes,
                  "the %s calls stable functions (%s): they must give the same answer while the job runs",
                  what, result_text(r, 0, 6));
    return ok;
}

/* The text without " FROM scratch.table;" at its end. NULL when it does not end so. */
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
        int64_t attnum = result_int(&r, i, 0);

        if (attnum <= reads_count)
            reads[attnum] = true;
    }
    result_free(&r);
    return true;
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
         judge(v, &r, what, err) && (reads == NULL || read_reads(v, reads, reads_count, err));
    if (ok) {
        *view = without_from(result_text(&r, 0, 0), result_text(&r, 0, 7));
        if (*view == NULL)
            ok = error_set(err, ERROR_FAILED, "the server's text of the %s does not end as expected", what);
    }
    ok = ok && session_executef(v->s, err, "DROP VIEW %s." VIEW_NAME, v->schema);
    result_free(&r);
    free(self);
    return ok;
}
