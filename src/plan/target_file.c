#include "plan/target_file.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/table.h"
#include "core/buffer.h"
#include "core/mem.h"
#include "core/name.h"
#include "parse/expression.h"
#include "parse/statement.h"
#include "parse/target_ddl.h"
#include "rows/view.h"
#include "pg/sqlstate.h"
#include "clone.h"
#include "code.h"
#include "partitions.h"
#include "meaning.h"
#include "refuse.h"
#include "target_difference.h"

static void
read_map(const char *option, struct target_maps *maps, struct string_list *reasons)
{
    const char *equals = strchr(option, '=');
    char *typed = equals != NULL ? mem_strndup(option, (size_t)(equals - option)) : mem_strdup("");
    struct typed_name name = {0};
    struct error err = {0};

    if (equals == NULL || !typed_name_parse(typed, &name, &err) || name.schema != NULL) {
        list_addf(reasons, "not of the form column=expression: --map '%s'", option);
    } else if (!expression_check(equals + 1, &err)) {
        list_addf(reasons, "--map '%s': %s", option, err.message);
    } else if (list_has(&maps->columns, name.name)) {
        list_addf(reasons, "column \"%s\" has more than one --map", name.name);
    } else {
        list_add(&maps->columns, mem_strdup(name.name));
        list_add(&maps->expressions, mem_strdup(equals + 1));
    }
    error_clear(&err);
    typed_name_free(&name);
    free(typed);
}

static void
read_maps(const struct target_file *file, const struct table *target, struct target_maps *maps,
          struct string_list *reasons)
{
    for (int i = 0; i < file->map_count; i++)
        read_map(file->maps[i], maps, reasons);
    for (int i = 0; i < maps->columns.count; i++) {
        const struct column *c = table_column_named(target, maps->columns.items[i]);

        if (c == NULL)
            list_addf(reasons, "there is a --map for column \"%s\", which the target does not have",
                      maps->columns.items[i]);
        else if (c->generated != '\0')
            list_addf(reasons, "there is a --map for column \"%s\", which is generated", c->name);
    }
}

/* Create the target in the scratch schema and read its definition. */
static struct table *
make_target(struct session *s, const struct table *source, const char *scratch,
            const struct string_list *statements, struct error *err)
{
    bool ok = session_executef(s, err, "CREATE SCHEMA %s", scratch) && view_search_path(s, true, err);

    for (int i = 0; ok && i < statements->count; i++) {
        ok = session_execute(s, err, statements->items[i]);
        if (!ok) {
            view_blame(scratch, "the target", err);
            if (!err->connection_lost && !err->stopped)
                err->kind = ERROR_USAGE;
        }
    }
    ok = ok && view_search_path(s, false, err);
    return ok ? table_read(s, scratch, source->name, err) : NULL;
}

/* The statements are right if the server makes the target of the table by them. */
static bool
prove(struct session *s, const struct target_file *file, struct table *source, const struct table *target,
      const char *sql, struct error *err)
{
    static const struct target_maps none = {0};
    struct statement_list list = {0};
    struct clone_result clone = {0};
    struct string_list rest = {0};
    struct string_list reasons = {0};
    struct string_list notes = {0};
    char *name = clone_schema_name(s);
    char *schema = mem_printf("%s_made", name);
    bool ok = statements_parse(sql, schema, &list, err) &&
              code_refuse_first(s, source, file->options, &list, &reasons, err) &&
              meaning_refuse_own(s, source, &notes, err) &&
              clone_run(s, source, schema, &list, false, &clone, err);

    if (!ok && err->kind == ERROR_USAGE)
        error_context(err, "making the target of the table by: %s", sql);
    if (ok) {
        target_difference(clone.after, target, source->schema, &none, &rest, &reasons);
        list_add_all(&reasons, &rest);
        if (reasons.count > 0) {
            ok =
                error_set(err, ERROR_REFUSED, "cannot find the statements that make the target of the table");
            error_detail(err, "What would differ: %s", reasons.items[0]);
        }
    }
    statements_free(&list);
    clone_result_free(&clone);
    list_free(&rest);
    list_free(&reasons);
    list_free(&notes);
    free(schema);
    free(name);
    return ok;
}

/*
 * The server refuses a unique constraint without the columns by which rows are divided. That is a property of
 * the target, not a mistake in its text.
 */
static void
judge_target(const struct table *target, struct error *err)
{
    if (target == NULL && sqlstate_is(err, SQLSTATE_FEATURE_NOT_SUPPORTED))
        err->kind = ERROR_REFUSED;
}

static bool
find_change(struct session *s, const struct target_file *file, struct table *source,
            struct target_change *out, struct error *err)
{
    const struct typed_name name = {.schema = source->schema, .name = source->name};
    struct string_list ddl = {0}, reasons = {0}, changes = {0};
    const struct string_list no_hints = {0};
    const struct statement_list no_statements = {0};
    struct target_maps maps = {0};
    char *scratch = clone_schema_name(s);
    struct table *target = NULL;
    bool ok = false;

    if (!target_ddl_parse(file->ddl, scratch, &name, &ddl, &reasons, err) ||
        !code_refuse_first(s, source, file->options, &no_statements, &reasons, err))
        goto out;
    target = make_target(s, source, scratch, &ddl, err);
    judge_target(target, err);
    if (target == NULL || (target->partition_key != NULL && !code_read(s, target, &out->layout_code, err)))
        goto out;
    read_maps(file, target, &maps, &reasons);
    target_difference(source, target, source->schema, &maps, &changes, &reasons);
    if (!partitions_refuse(s, source, target, file->options, &reasons, err))
        goto out;
    if (!refuse_if(source, &reasons, &no_hints, err))
        goto out;
    if (changes.count == 0 && target->partition_key == NULL) {
        error_nothing(err, "nothing to do: table \"%s.%s\" is as the target says", source->schema,
                      source->name);
        goto out;
    }
    if (changes.count > 0)
        out->sql = list_join(&changes, ";\n");
    ok = out->sql == NULL || prove(s, file, source, target, out->sql, err);
    if (ok && target->partition_key != NULL) {
        out->layout = target;
        target = NULL;
    }
out:
    list_free(&ddl);
    list_free(&reasons);
    list_free(&changes);
    list_free(&maps.columns);
    list_free(&maps.expressions);
    table_free(target);
    free(scratch);
    return ok;
}

void
target_change_clear(struct target_change *c)
{
    free(c->sql);
    table_free(c->layout);
    list_free(&c->layout_code);
    *c = (struct target_change){0};
}

bool
target_file_read(struct session *s, const struct target_file *file, struct target_change *out,
                 struct error *err)
{
    struct typed_name typed = {0};
    struct table *source = NULL;
    char *schema = NULL;
    char *name = NULL;
    bool ok = false;
    oid_t oid;

    if (typed_name_parse(file->table, &typed, err) && session_execute(s, err, PLANNING_BEGIN) &&
        table_resolve(s, typed.schema, typed.name, &schema, &name, &oid, err))
        source = table_read(s, schema, name, err);
    if (source != NULL)
        ok = find_change(s, file, source, out, err);
    session_rollback(s);
    table_free(source);
    typed_name_free(&typed);
    free(schema);
    free(name);
    return ok;
}
