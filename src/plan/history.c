#include "history.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/table.h"
#include "core/buffer.h"
#include "core/mem.h"
#include "core/name.h"
#include "objects/swap_job.h"
#include "pg/params.h"
#include "rows/code.h"

/* One change with its inverse. */
struct noted {
    const struct history_change *change;
    char *table; /* quoted, qualified */
    struct result columns;
    struct string_list forward, back; /* each changes one row; back is in the order in which it is run */
};

static bool
is_named(const struct typed_name *table, const struct plan_options *options, struct error *err)
{
    for (int i = 0; i < options->history_table_count; i++) {
        struct typed_name given = {0};
        bool same;

        if (!typed_name_parse(options->history_tables[i], &given, err))
            return false;
        same = strcmp(given.name, table->name) == 0 &&
               (given.schema == NULL || table->schema == NULL || strcmp(given.schema, table->schema) == 0);
        typed_name_free(&given);
        if (same)
            return true;
    }
    return false;
}

bool
history_check(const struct history_list *list, const struct plan_options *options, struct error *err)
{
    for (int i = 0; i < list->count; i++) {
        const struct history_change *c = &list->items[i];
        char *name;

        if (history_is_known(&c->table) || is_named(&c->table, options, err))
            continue;
        if (err->message != NULL)
            return false;
        name = c->table.schema != NULL ? name_qualified(c->table.schema, c->table.name)
                                       : name_quoted(c->table.name);
        error_set(err, ERROR_USAGE, "cannot do \"%s\": rows of other tables are not part of a rewrite",
                  c->text);
        error_hint(err,
                   "If %s is the table in which your migration tool notes its migrations, say so: "
                   "--history-table='%s'. The rows are then changed in the same transaction as the swap. Run "
                   "everything else by itself, before or after.",
                   name, name);
        free(name);
        return false;
    }
    return true;
}

static void
noted_free(struct noted *n)
{
    list_free(&n->forward);
    list_free(&n->back);
    result_free(&n->columns);
    free(n->table);
}

static const char *
type_of(const struct noted *n, const char *column)
{
    for (int i = 0; i < result_rows(&n->columns); i++)
        if (strcmp(row_text(&n->columns, i, "name"), column) == 0)
            return row_text(&n->columns, i, "type");
    return NULL;
}

static bool
check_row(const struct noted *n, const struct history_row *row, struct error *err)
{
    for (int i = 0; i < row->count; i++)
        if (type_of(n, row->items[i].column) == NULL)
            return error_set(err, ERROR_REFUSED, "%s has no column \"%s\": \"%s\"", n->table,
                             row->items[i].column, n->change->text);
    return true;
}

static bool
check_columns(const struct noted *n, struct error *err)
{
    bool ok = check_row(n, &n->change->where, err);

    for (int i = 0; ok && i < n->change->row_count; i++)
        ok = check_row(n, &n->change->rows[i], err);
    return ok;
}

/* The condition that finds the row: each value as the column holds it. */
static void
add_conditions(const struct noted *n, const struct history_row *row, struct buffer *out)
{
    int count = 0;

    for (int i = 0; i < row->count; i++) {
        const struct history_value *v = &row->items[i];

        if (v->now)
            continue;
        buffer_add_text(out, count++ == 0 ? " WHERE " : " AND ");
        buffer_add_identifier(out, v->column);
        if (v->null)
            buffer_add_text(out, " IS NULL");
        else
            buffer_printf(out, " = CAST(%s AS %s)", v->sql, type_of(n, v->column));
    }
}

static char *
insert_statement(const struct noted *n, const struct history_row *row, bool unless_there)
{
    struct buffer columns = {0}, values = {0};
    char *sql;

    for (int i = 0; i < row->count; i++) {
        buffer_add_text(&columns, i > 0 ? ", " : "");
        buffer_add_identifier(&columns, row->items[i].column);
        buffer_printf(&values, "%s%s", i > 0 ? ", " : "", row->items[i].sql);
    }
    sql = mem_printf("INSERT INTO %s (%s) VALUES (%s)%s", n->table, columns.data, values.data,
                     unless_there ? " ON CONFLICT DO NOTHING" : "");
    buffer_free(&columns);
    buffer_free(&values);
    return sql;
}

static char *
delete_statement(const struct noted *n, const struct history_row *row)
{
    struct buffer sql = {0};

    buffer_printf(&sql, "DELETE FROM %s", n->table);
    add_conditions(n, row, &sql);
    return buffer_take(&sql);
}

static char *
update_statement(const struct noted *n, const struct history_row *set, const struct history_row *where)
{
    struct buffer sql = {0};

    buffer_printf(&sql, "UPDATE %s SET ", n->table);
    for (int i = 0; i < set->count; i++) {
        buffer_add_text(&sql, i > 0 ? ", " : "");
        buffer_add_identifier(&sql, set->items[i].column);
        buffer_printf(&sql, " = %s", set->items[i].sql);
    }
    add_conditions(n, where, &sql);
    return buffer_take(&sql);
}

static const struct history_value *
value_in(const struct history_row *row, const char *column)
{
    for (int i = 0; i < row->count; i++)
        if (strcmp(row->items[i].column, column) == 0)
            return &row->items[i];
    return NULL;
}

/* The inverse: the row is found by its new values, and gets those that the conditions have named. */
static void
plan_update(struct noted *n)
{
    const struct history_row *set = &n->change->rows[0], *where = &n->change->where;
    struct history_row former = {0}, found = {0};

    former.items = mem_alloc((size_t)set->count * sizeof(*former.items));
    found.items = mem_alloc((size_t)where->count * sizeof(*found.items));
    for (int i = 0; i < set->count; i++)
        former.items[former.count++] = *value_in(where, set->items[i].column);
    for (int i = 0; i < where->count; i++) {
        const struct history_value *v = value_in(set, where->items[i].column);

        found.items[found.count++] = v != NULL ? *v : where->items[i];
    }
    list_add(&n->forward, update_statement(n, set, where));
    list_add(&n->back, update_statement(n, &former, &found));
    free(former.items);
    free(found.items);
}

static bool
plan_insert(struct noted *n, bool rollback, struct error *err)
{
    for (int i = 0; i < n->change->row_count; i++) {
        const struct history_row *row = &n->change->rows[i];
        bool findable = false;

        for (int k = 0; k < row->count; k++)
            findable = findable || (!row->items[k].now && !row->items[k].null);
        if (rollback && !findable)
            return error_set(err, ERROR_REFUSED, "a rollback could not find the row again: \"%s\"",
                             n->change->text);
        list_add(&n->forward, insert_statement(n, row, false));
        list_add(&n->back, delete_statement(n, row));
    }
    return true;
}

/* The deleted row can only be made again if all its values are known. */
static bool
plan_delete(struct noted *n, bool rollback, struct error *err)
{
    for (int i = 0; rollback && i < result_rows(&n->columns); i++)
        if (value_in(&n->change->where, row_text(&n->columns, i, "name")) == NULL)
            return error_set(
                err, ERROR_REFUSED,
                "a rollback could not make the deleted row again: \"%s\" does not name its column \"%s\"",
                n->change->text, row_text(&n->columns, i, "name"));
    list_add(&n->forward, delete_statement(n, &n->change->where));
    list_add(&n->back, insert_statement(n, &n->change->where, true));
    return true;
}

static bool
is_of_job(const struct plan_set *set, oid_t oid)
{
    for (int i = 0; i < set->table_count; i++)
        if (set->tables[i].forward->source->oid == oid)
            return true;
    return false;
}

static bool
noted_plan(struct session *s, const struct history_change *change, const struct plan_set *set,
           struct noted *n, struct error *err)
{
    char *schema = NULL, *name = NULL;
    struct params p = {0};
    oid_t oid = 0;
    bool ok = table_resolve(s, change->table.schema, change->table.name, &schema, &name, &oid, err);

    n->change = change;
    if (ok && is_of_job(set, oid))
        ok = error_set(err, ERROR_USAGE, "cannot do \"%s\": the job rewrites that table", change->text);
    if (ok) {
        n->table = name_qualified(schema, name);
        params_uint(&p, oid);
        ok = session_query_with(
            s, &n->columns, err,
            "SELECT a.attname AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type "
            "FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 "
            "AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum",
            &p);
    }
    free(schema);
    free(name);
    if (!ok || !check_columns(n, err))
        return false;
    switch (change->kind) {
    case HISTORY_INSERT:
        return plan_insert(n, set->rollback != NULL, err);
    case HISTORY_DELETE:
        return plan_delete(n, set->rollback != NULL, err);
    default:
        plan_update(n);
        return true;
    }
}

static bool
refuse_code(struct session *s, const struct noted *n, const struct plan_options *options, struct error *err)
{
    struct string_list trusted = {0};
    struct code_found found = {0};
    char *whose = mem_printf("%s has", n->table);
    bool ok;

    for (int i = 0; i < options->trusted_count; i++)
        list_add_once(&trusted, options->trusted[i]);
    ok = code_find_written(s, n->table, &trusted, &found, err);
    if (ok && found.lines.count > 0)
        ok = code_found_refuse(&found, ERROR_REFUSED, whose, err);
    free(whose);
    code_found_free(&found);
    list_free(&trusted);
    return ok;
}

/* Run it. The server's refusal is the reason, as is a number of rows other than one. */
static bool
try_statement(struct session *s, const char *sql, bool back, struct error *err)
{
    struct error failed = {0};
    struct result r = {0};
    bool ok = session_query(s, &r, &failed, sql, 0);
    int64_t rows = ok ? result_affected(&r) : 0;

    result_free(&r);
    if (ok && rows == 1)
        return true;
    if (!ok && (failed.connection_lost || failed.stopped)) {
        error_move(err, &failed);
        return false;
    }
    error_set(err, ERROR_REFUSED,
              back ? "a rollback could not take back what the migration tool notes: %s"
                   : "what the migration tool notes cannot be written: %s",
              failed.message != NULL ? failed.message
              : rows == 0            ? "there is no such row"
                                     : "there are several such rows");
    error_detail(err, "%s", sql);
    if (ok && !back && rows == 0)
        error_hint(
            err,
            "The database is not where the migration begins: compare what the migration tool says of it.");
    error_clear(&failed);
    return false;
}

static bool
try_forward(struct session *s, const struct noted *n, struct error *err)
{
    bool ok = true;

    for (int i = 0; ok && i < n->forward.count; i++)
        ok = try_statement(s, n->forward.items[i], false, err);
    return ok;
}

static bool
try_back(struct session *s, const struct noted *n, struct error *err)
{
    bool ok = true;

    for (int i = 0; ok && i < n->back.count; i++)
        ok = try_statement(s, n->back.items[i], true, err);
    return ok;
}

static bool
try_all(struct session *s, const struct noted *noted, int count, bool rollback, struct error *err)
{
    bool ok = session_execute(s, err, "SAVEPOINT pgrecast_history");

    for (int i = 0; ok && i < count; i++)
        ok = session_executef(s, err, "LOCK TABLE %s IN ROW EXCLUSIVE MODE", noted[i].table) &&
             try_forward(s, &noted[i], err);
    for (int i = count - 1; ok && rollback && i >= 0; i--)
        ok = try_back(s, &noted[i], err);
    return ok && session_execute(
                     s, err, "ROLLBACK TO SAVEPOINT pgrecast_history; RELEASE SAVEPOINT pgrecast_history");
}

/* The user sees both directions. */
static void
note_change(struct plan_set *set, const struct noted *n)
{
    struct string_list *notes = &set->tables[set->first].forward->advice.notes;
    char *forward = list_join(&n->forward, "; "), *back = list_join(&n->back, "; ");

    list_addf(notes, "in the same transaction as the cutover: %s%s%s", forward,
              set->rollback != NULL ? "; in that of a rollback: " : "", set->rollback != NULL ? back : "");
    free(forward);
    free(back);
}

bool
history_plan(struct session *s, const struct history_list *list, const struct plan_options *options,
             struct plan_set *set, struct error *err)
{
    struct noted *noted = mem_alloc((size_t)(list->count + 1) * sizeof(*noted));
    bool ok = true;

    for (int i = 0; ok && i < list->count; i++)
        ok = noted_plan(s, &list->items[i], set, &noted[i], err) && refuse_code(s, &noted[i], options, err);
    ok = ok && (list->count == 0 || try_all(s, noted, list->count, set->rollback != NULL, err));
    for (int i = 0; ok && i < list->count; i++) {
        list_add_once(&set->written, noted[i].table);
        swap_job_write(set, noted[i].table, &noted[i].forward, false);
        note_change(set, &noted[i]);
    }
    for (int i = list->count - 1; ok && i >= 0; i--)
        swap_job_write(set, noted[i].table, &noted[i].back, true);
    for (int i = 0; i < list->count; i++)
        noted_free(&noted[i]);
    free(noted);
    return ok;
}
