#include "violations.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "sql/sql.h"

static bool
has_key(const struct table *t, const struct foreign_key *like)
{
    for (int i = 0; i < t->foreign_key_count; i++)
        if (t->foreign_keys[i].on_oid == like->on_oid && strcmp(t->foreign_keys[i].name, like->name) == 0)
            return true;
    return false;
}

/*
 * The same key before the statements, which may have renamed it and its columns. If the statements add no key, a
 * key that is new by its name is one of those whose names are gone. NULL: none.
 */
static const struct foreign_key *
key_before(const struct plan *p, const struct foreign_key *f)
{
    const struct foreign_key *like = NULL;
    bool same_columns = false;

    for (int i = 0; i < p->source->foreign_key_count; i++) {
        const struct foreign_key *b = &p->source->foreign_keys[i];
        bool same = strcmp(b->columns, f->columns) == 0 && strcmp(b->ref_columns, f->ref_columns) == 0;

        if (b->on_oid != f->on_oid || b->ref_oid != f->ref_oid)
            continue;
        if (strcmp(b->name, f->name) == 0)
            return b;
        if (has_key(p->target, b) ||
            (like != NULL && (same_columns || (!same && like->validated <= b->validated))))
            continue;
        like = b;
        same_columns = same;
    }
    return like;
}

/* Whether a column of the list "a, b" gets other values than it has. */
static bool
changes_values(const struct plan *p, const char *columns)
{
    for (int i = 0; i < p->rows.column_count; i++) {
        const struct plan_column *c = &p->rows.columns[i];
        char *quoted, *list, *rest;
        bool named = false;

        if (c->plain || c->origin != COLUMN_FROM_ROW)
            continue;
        quoted = name_quoted(c->name);
        list = mem_strdup(columns);
        for (char *item = strtok_r(list, ",", &rest); item != NULL; item = strtok_r(NULL, ",", &rest)) {
            item += strspn(item, " ");
            named = named || strcmp(item, c->name) == 0 || strcmp(item, quoted) == 0;
        }
        free(list);
        free(quoted);
        if (named)
            return true;
    }
    return false;
}

/* The rows as the statements make them. */
static char *
rows_made(const struct plan *p)
{
    return mem_printf("(SELECT pgrecast_new.* FROM ONLY %s AS pgrecast_src CROSS JOIN LATERAL (%s) AS "
                      "pgrecast_new (%s))",
                      p->names.source_sql, p->rows.transform_insert, p->rows.insert_columns);
}

static const struct plan *
plan_of(const struct plan_set *set, oid_t oid)
{
    for (int i = 0; i < set->table_count; i++)
        if (set->tables[i].forward->source->oid == oid)
            return set->tables[i].forward;
    return NULL;
}

static char *
rows_of(const struct plan_set *set, oid_t oid, const char *name, bool made)
{
    const struct plan *p = plan_of(set, oid);

    return p != NULL && made ? rows_made(p) : mem_strdup(name);
}

/* Whether rows of both tables can be read, and all of them. */
static bool
may_read(struct session *s, const struct foreign_key *f, bool *may, struct error *err)
{
    struct params params = {0};
    struct result r = {0};
    bool ok;

    params_uint(&params, f->on_oid);
    params_uint(&params, f->ref_oid);
    ok = session_row_with(s, &r, err,
                          "SELECT pg_catalog.bool_and(pg_catalog.has_table_privilege(o, 'SELECT') AND NOT "
                          "pg_catalog.row_security_active(o)) AS may "
                          "FROM pg_catalog.unnest(ARRAY[$1, $2]::pg_catalog.oid[]) AS o",
                          &params);
    *may = ok && row_bool(&r, 0, "may");
    result_free(&r);
    return ok;
}

static bool
read_condition(struct session *s, const struct plan *p, const char *schema, const struct foreign_key *f,
               const char *referenced, char **condition, struct error *err)
{
    char *on = f->on_oid == p->source->oid ? mem_strdup(p->source->name)
                                           : mem_printf("pgrecast_table_%u", f->on_oid);
    struct result r = {0};
    bool ok = session_query(s, &r, err, sql_plan_violations, 4, schema, on, f->name, referenced);

    *condition = ok && result_rows(&r) == 1 ? row_copy(&r, 0, "violated") : NULL;
    result_free(&r);
    free(on);
    return ok;
}

static bool
refuse(const struct plan *p, const struct foreign_key *f, bool made, const char *rows, const char *condition,
       struct error *err)
{
    error_set(err, ERROR_REFUSED, "cannot rewrite table %s: rows violate foreign key \"%s\" of %s to %s%s",
              p->names.source_sql, f->name, f->on_name, f->ref_name, made ? " after the change" : "");
    error_detail(err, "ALTER TABLE would fail too.");
    if (made)
        return error_hint(err,
                          "Correct the rows or the expression, or drop the foreign key first. A key that the "
                          "statements add may be NOT VALID.");
    return error_hint(err, "These rows have to be corrected first: SELECT * FROM %s AS f WHERE %s", rows,
                      condition);
}

/*
 * The answer is *violated. The condition is NULL if rows cannot be looked at: not all of them can be read, or an
 * expression fails, which the copy will report with the row's key.
 */
static bool
look_at(struct session *s, const struct plan *p, const char *schema, const struct foreign_key *f,
        const char *rows, const char *referenced, char **condition, bool *violated, struct error *err)
{
    struct result r = {0};
    struct error failed = {0};
    char *sql = NULL;
    bool may, ok = may_read(s, f, &may, err);

    *violated = false;
    ok = ok && (!may || read_condition(s, p, schema, f, referenced, condition, err));
    if (!ok || *condition == NULL)
        return ok;
    sql = mem_printf("SELECT EXISTS (SELECT FROM %s AS f WHERE %s) AS violated", rows, *condition);
    ok = session_execute(s, err, "SAVEPOINT pgrecast_violations") &&
         (!p->rows.compare.texts_differ || session_make_text_function(s, err)) && session_evaluate(s, err);
    if (ok && session_row(s, &r, &failed, sql, 0)) {
        *violated = row_bool(&r, 0, "violated");
    } else if (ok && (failed.connection_lost || failed.stopped)) {
        error_move(err, &failed);
        ok = false;
    } else {
        free(*condition);
        *condition = NULL;
    }
    ok = ok && session_execute(s, err, "ROLLBACK TO SAVEPOINT pgrecast_violations");
    result_free(&r);
    error_clear(&failed);
    free(sql);
    return ok;
}

/* Whether expressions of the owner may be evaluated with the session's rights. */
static bool
may_evaluate(const struct plan_set *set, oid_t oid)
{
    const struct plan *p = plan_of(set, oid);

    return p == NULL || !p->code.foreign || list_has(&p->code.trusted, p->source->owner);
}

/* made: the rows are looked at as the statements make them. */
static bool
check_key(struct session *s, const struct plan_set *set, struct plan *p, const char *schema,
          const struct foreign_key *f, bool made, struct error *err)
{
    char *rows = rows_of(set, f->on_oid, f->on_name, made), *condition = NULL;
    char *referenced = rows_of(set, f->ref_oid, f->ref_name, made);
    bool may = !made || (may_evaluate(set, f->on_oid) && may_evaluate(set, f->ref_oid)), violated = false;
    bool ok = !may || look_at(s, p, schema, f, rows, referenced, &condition, &violated, err);

    if (ok && condition == NULL)
        list_addf(
            &p->advice.notes,
            "whether rows violate foreign key %s of %s could not be looked at: if some do, it stays NOT "
            "VALID after the swap",
            f->name, f->on_name);
    if (ok && violated)
        ok = refuse(p, f, made, rows, condition, err);
    free(condition);
    free(referenced);
    free(rows);
    return ok;
}

/* Whether a table of the job gives a column of the list other values. */
static bool
side_changes(const struct plan_set *set, oid_t oid, const char *columns)
{
    const struct plan *p = plan_of(set, oid);

    return p != NULL && changes_values(p, columns);
}

static bool
adds_keys(const struct statement_list *statements)
{
    for (int i = 0; i < statements->count; i++)
        for (int k = 0; k < statements->items[i].clause_count; k++)
            if (statements->items[i].clauses[k].adds_key)
                return true;
    return false;
}

/* A key that was dropped and added again as it was is not new: its rows were checked before. */
static bool
is_like(const struct foreign_key *before, const struct foreign_key *f)
{
    return before != NULL && strcmp(before->name, f->name) == 0 && strcmp(before->columns, f->columns) == 0 &&
           strcmp(before->ref_columns, f->ref_columns) == 0 && strcmp(before->options, f->options) == 0;
}

bool
violations_refuse(struct session *s, const struct plan_set *set, struct plan *p,
                  const struct statement_list *statements, const char *clone_schema, struct error *err)
{
    bool ok = true, adds = adds_keys(statements);

    for (int i = 0; ok && i < p->target->foreign_key_count; i++) {
        const struct foreign_key *f = &p->target->foreign_keys[i], *before = key_before(p, f);
        bool changes =
            side_changes(set, f->on_oid, f->columns) || side_changes(set, f->ref_oid, f->ref_columns);

        bool added = adds && f->on_oid == p->source->oid && !is_like(before, f);

        if (!f->validated || (!added && (before == NULL || (before->validated && !changes))) ||
            (f->on_oid != p->source->oid && plan_of(set, f->on_oid) != NULL))
            continue;
        ok = check_key(s, set, p, clone_schema, f,
                       p->filter != NULL || added || changes || strcmp(f->columns, before->columns) != 0 ||
                           strcmp(f->ref_columns, before->ref_columns) != 0,
                       err);
    }
    return ok;
}
