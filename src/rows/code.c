#include "rows/code.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "catalog/table.h"
#include "core/mem.h"
#include "sql/sql.h"

/* A text[] as the server reads it */
static char *
array_of(const struct string_list *list)
{
    struct buffer out = {0};

    buffer_add_char(&out, '{');
    for (int i = 0; list != NULL && i < list->count; i++) {
        buffer_add_text(&out, i > 0 ? ",\"" : "\"");
        for (const char *c = list->items[i]; *c != '\0'; c++) {
            if (*c == '"' || *c == '\\')
                buffer_add_char(&out, '\\');
            buffer_add_char(&out, *c);
        }
        buffer_add_char(&out, '"');
    }
    buffer_add_char(&out, '}');
    return buffer_take(&out);
}

bool
code_find(struct session *s, const struct code_scope *scope, struct code_found *found, struct error *err)
{
    char *trusted = array_of(scope->trusted), *retyped = array_of(scope->retyped);
    char *defaults = array_of(scope->defaults);
    struct params p = {0};
    struct result r = {0};
    bool ok;

    params_text(&p, scope->table);
    params_text(&p, trusted);
    params_text(&p, retyped);
    params_text(&p, defaults);
    params_bool(&p, scope->written);
    ok = session_query_with(s, &r, err, sql_rows_foreign_code, &p);
    for (int i = 0; ok && i < result_rows(&r); i++) {
        if (scope->allowed != NULL && list_has(scope->allowed, row_text(&r, i, "function_oid")))
            continue;
        if (row_bool(&r, i, "as_alter")) {
            list_add(&found->allowed, row_copy(&r, i, "function_oid"));
            continue;
        }
        list_add(&found->oids, row_copy(&r, i, "function_oid"));
        list_add_once(&found->owners, row_text(&r, i, "owner"));
        list_addf(&found->lines, "function %s of role \"%s\" (%s) would run with the rights of \"%s\"",
                  row_text(&r, i, "function"), row_text(&r, i, "owner"), row_text(&r, i, "what"),
                  row_text(&r, i, "session_role"));
    }
    result_free(&r);
    free(trusted);
    free(retyped);
    free(defaults);
    return ok;
}

bool
code_find_written(struct session *s, const char *table, const struct string_list *trusted,
                  struct code_found *found, struct error *err)
{
    struct string_list columns = {0};
    const struct code_scope scope = {
        .table = table, .trusted = trusted, .defaults = &columns, .written = true};
    struct result r = {0};
    bool ok =
        session_query(s, &r, err,
                      "SELECT a.attname FROM pg_catalog.pg_attribute AS a "
                      "WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped",
                      1, table);

    for (int i = 0; ok && i < result_rows(&r); i++)
        list_add(&columns, row_copy(&r, i, "attname"));
    ok = ok && code_find(s, &scope, found, err);
    result_free(&r);
    list_free(&columns);
    return ok;
}

void
code_found_free(struct code_found *found)
{
    list_free(&found->lines);
    list_free(&found->oids);
    list_free(&found->owners);
    list_free(&found->allowed);
}

bool
code_is_foreign(struct session *s, const char *owner, bool *foreign, struct error *err)
{
    struct result r = {0};
    bool ok = session_row(s, &r, err, "SELECT session_user <> $1 AS differs", 1, owner);

    if (ok)
        *foreign = row_bool(&r, 0, "differs");
    result_free(&r);
    return ok;
}

void
code_defaults(const struct plan *plan, struct string_list *names)
{
    for (int i = 0; i < plan->rows.column_count; i++)
        if (plan->rows.columns[i].origin == COLUMN_DEFAULT)
            list_add(names, mem_strdup(plan->rows.columns[i].name));
}

void
code_hint(const struct code_found *found, struct buffer *hint)
{
    buffer_add_text(hint, "Connect as the owner of the table, or say that the role may use all rights of the "
                          "session's:");
    for (int i = 0; i < found->owners.count; i++)
        buffer_printf(hint, " --trust-owner=%s", found->owners.items[i]);
}

bool
code_found_refuse(const struct code_found *found, enum error_kind kind, const char *whose, struct error *err)
{
    char *lines = list_join(&found->lines, "\n");
    struct buffer hint = {0};

    code_hint(found, &hint);
    error_set(err, kind, "%s code of a role that is not trusted", whose);
    error_detail(err, "%s", lines);
    error_hint(err, "%s", hint.data);
    buffer_free(&hint);
    free(lines);
    return false;
}

/*
 * Refuse a partitioned table whose owner is not trusted: he can attach a partition with a trigger between the examination and
 * the write, because no lock of a writer keeps him from it.
 */
static bool
refuse_partitions(struct session *s, const struct plan *plan, struct error *err)
{
    char *trusted = array_of(&plan->code.trusted);
    struct result r = {0};
    bool ok = session_row(s, &r, err,
                          "SELECT pg_catalog.pg_has_role($1::pg_catalog.name, session_user, 'USAGE') OR "
                          "$1 = ANY ($2::pg_catalog.text[]) AS trusted",
                          2, plan->source->owner, trusted);

    if (ok && !row_bool(&r, 0, "trusted")) {
        ok = error_set(err, ERROR_FAILED,
                       "role \"%s\" may add partitions with code of its own, and is not trusted",
                       plan->source->owner);
        error_hint(err,
                   "Connect as the owner of the table, or say that the role may use all rights of the "
                   "session's: --trust-owner=%s",
                   plan->source->owner);
    }
    result_free(&r);
    free(trusted);
    return ok;
}

bool
code_check(struct session *s, const struct plan *plan, struct error *err)
{
    struct string_list defaults = {0};
    struct code_found found = {0};
    struct code_scope source = {
        .table = plan->names.source_sql, .trusted = &plan->code.trusted, .allowed = &plan->code.allowed};
    struct code_scope shadow = {.table = plan->names.shadow_sql,
                                .trusted = &plan->code.trusted,
                                .allowed = &plan->code.allowed,
                                .defaults = &defaults,
                                .written = plan->rows.insert_columns != NULL};
    bool ok = true;

    if (!plan->code.foreign)
        return true;
    if ((plan->source->partition_key != NULL || plan->target->partition_key != NULL) &&
        !refuse_partitions(s, plan, err))
        return false;
    if (shadow.written)
        code_defaults(plan, &defaults);
    ok = code_find(s, &source, &found, err) && code_find(s, &shadow, &found, err);
    if (ok && found.lines.count > 0)
        ok = code_found_refuse(&found, ERROR_FAILED, "the tables have", err);
    list_free(&defaults);
    code_found_free(&found);
    return ok;
}

bool
code_check_written(struct session *s, const struct plan_set *set, struct error *err)
{
    struct code_found found = {0};
    bool ok = true;

    for (int i = 0; ok && i < set->written.count; i++)
        ok = code_find_written(s, set->written.items[i], &set->tables[0].forward->code.trusted, &found, err);
    if (ok && found.lines.count > 0)
        ok = code_found_refuse(&found, ERROR_FAILED, "the tables have", err);
    code_found_free(&found);
    return ok;
}

bool
code_guard(struct session *s, struct session *asker, const struct plan *plan, struct error *err)
{
    if (!plan->code.foreign)
        return true;
    return session_executef(s, err, "LOCK TABLE %s%s, %s%s IN ROW EXCLUSIVE MODE", table_only(plan->source),
                            plan->names.source_sql, table_only(plan->target), plan->names.shadow_sql) &&
           code_check(asker != NULL ? asker : s, plan, err);
}
