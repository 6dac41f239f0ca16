#include "where.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "parse/expression.h"
#include "rows/filter.h"
#include "rows/view.h"
#include "sample.h"
#include "sql/sql.h"

#define OPTION "--where"
#define SAMPLE_BYTES (16.0 * 1024 * 1024)

struct where {
    struct session *s;
    const char *text; /* as typed */
    const char *scratch;
    char *table; /* the empty table like the source, qualified */
    struct error *err;
};

static bool
where_execute(struct where *w, const char *format)
{
    bool ok = view_search_path(w->s, true, w->err);

    if (ok && !session_executef(w->s, w->err, format, w->scratch, w->table, w->text))
        ok = view_blame(w->scratch, w->text, w->err);
    return ok && view_search_path(w->s, false, w->err);
}

/* No code of a user's runs while this is found out: a view is not planned when it is made. */
static bool
refuse_foreign(struct where *w)
{
    char *view = mem_printf("%s.pgrecast_uses", w->scratch);
    struct result r = {0};
    bool ok = where_execute(w, "CREATE VIEW %s.pgrecast_uses AS SELECT 1 AS one FROM %s WHERE (%s\n)") &&
              session_query(w->s, &r, w->err, sql_plan_where_uses, 1, view);

    if (ok && result_rows(&r) > 0) {
        ok = error_set(w->err, ERROR_REFUSED, "the " OPTION " expression uses %s",
                       row_text(&r, 0, "description"));
        error_hint(w->err,
                   "A filter may use only what is built into the server, so that it is certain that it "
                   "always gives the same answer.");
    }
    result_free(&r);
    free(view);
    return ok;
}

static bool
check_immutable(struct where *w)
{
    bool ok = session_executef(w->s, w->err, "DROP VIEW %s.pgrecast_uses", w->scratch) &&
              where_execute(w, "CREATE INDEX /* in %s */ ON %s ((1)) WHERE (%s\n)");

    if (!ok && w->err->kind == ERROR_USAGE)
        error_hint(w->err, "A filter is what the server takes as the predicate of an index: immutable, over "
                           "the table's own columns, without sub-selects.");
    return ok;
}

static void
take_columns(struct plan *p, const bool *reads, struct string_list *reasons)
{
    for (int i = 0; i < p->source->column_count; i++) {
        const struct column *c = &p->source->columns[i];

        if (!reads[i + 1])
            continue;
        if (c->generated != '\0')
            list_addf(reasons, OPTION " reads the generated column \"%s\", which is not in the change stream",
                      c->name);
        list_add(&p->filter_columns, mem_strdup(c->name));
    }
    if (p->filter_columns.count == 0)
        list_addf(reasons, OPTION " reads no column: it would keep all rows or none");
}

static void
refuse_combinations(const struct table *t, const struct plan_options *options, struct string_list *reasons)
{
    if (options->rollback)
        list_addf(reasons, OPTION " needs --rollback-window=0: the rows that are left out could not be told "
                                  "from later ones in a rollback");
    for (int i = 0; i < t->foreign_key_count; i++)
        if (t->foreign_keys[i].ref_oid == t->oid)
            list_addf(reasons,
                      "with " OPTION ", foreign key \"%s\" of %s could refer to a row that is left out: drop "
                      "it before",
                      t->foreign_keys[i].name, t->foreign_keys[i].on_name);
}

static bool
make_table(struct where *w, const struct plan *p, char oid[16])
{
    struct result r = {0};
    bool ok =
        session_executef(w->s, w->err, "CREATE SCHEMA %s", w->scratch) &&
        session_executef(w->s, w->err, "CREATE TABLE %s (LIKE %s)", w->table, p->names.source_sql) &&
        session_row(w->s, &r, w->err, "SELECT $1::pg_catalog.regclass::pg_catalog.oid AS oid", 1, w->table);

    if (ok)
        snprintf(oid, 16, "%s", row_text(&r, 0, "oid"));
    result_free(&r);
    return ok;
}

bool
where_read(struct session *s, struct plan *p, const struct plan_options *options, const char *scratch,
           struct string_list *notes, struct string_list *reasons, struct error *err)
{
    struct where w = {.s = s, .text = options->where, .scratch = scratch, .err = err};
    char *list = mem_printf("SELECT (%s\n)::pg_catalog.bool AS c1", options->where);
    bool *reads = mem_alloc((size_t)p->source->column_count + 2);
    char oid[16] = "";
    struct view_place place = {
        .s = s, .schema = scratch, .table = p->source->name, .oid = oid, .notes = notes};
    bool ok = expression_check(options->where, err) || error_context(err, OPTION " '%s'", options->where);

    w.table = name_qualified(scratch, p->source->name);
    refuse_combinations(p->source, options, reasons);
    ok = ok && make_table(&w, p, oid) && refuse_foreign(&w) && check_immutable(&w) &&
         view_read(&place, list, options->where, OPTION " expression", &p->filter, reads,
                   p->source->column_count, err);
    if (ok)
        take_columns(p, reads, reasons);
    list_addf(&p->advice.warnings, "rows for which " OPTION " is not true are not in the new table. They are "
                                   "dropped with the original, unless --keep-original is given");
    free(w.table);
    free(reads);
    free(list);
    return ok;
}

static char *
where_select(const struct plan *p, double percent)
{
    struct buffer sql = {0};

    buffer_add_text(&sql, "SELECT pg_catalog.count(*) AS rows, pg_catalog.count(*) FILTER (WHERE NOT EXISTS "
                          "(SELECT FROM ");
    filter_add_item(&sql, p);
    buffer_printf(&sql, ")) AS left_out FROM ONLY %s AS pgrecast_src", p->names.source_sql);
    if (percent < 100)
        buffer_printf(&sql, " TABLESAMPLE SYSTEM (%.6f)", percent);
    return buffer_take(&sql);
}

static void
note_left_out(struct plan *p, const struct result *r, bool all)
{
    long long rows = row_int(r, 0, "rows"), out = row_int(r, 0, "left_out");

    if (all)
        list_addf(&p->advice.notes, OPTION " leaves out %lld of %lld rows", out, rows);
    else
        list_addf(&p->advice.notes, OPTION " leaves out about %.1f %% of the rows (%lld of %lld looked at)",
                  rows > 0 ? 100.0 * (double)out / (double)rows : 0.0, out, rows);
}

bool
where_sample(struct session *s, struct plan *p, struct error *err)
{
    double percent = p->source->heap_bytes > 0 ? SAMPLE_BYTES / (double)p->source->heap_bytes * 100 : 100;
    char *sql = where_select(p, percent);
    struct result r = {0};
    bool asked, ok = sample_ask(s, sql, "5s", false, &r, &asked, err);

    if (asked)
        note_left_out(p, &r, percent >= 100);
    else if (ok)
        list_addf(&p->advice.notes,
                  "how many rows " OPTION " leaves out could not be found within five seconds");
    result_free(&r);
    free(sql);
    return ok;
}
