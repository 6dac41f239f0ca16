#include "proof.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "core/name.h"
#include "core/sqlstate.h"
#include "pg/params.h"
#include "sql/sql.h"
#include "row_operators.h"

void
proof_add_types(const struct table *source, const struct table *target, struct string_list *types)
{
    for (int i = 0; i < target->column_count; i++) {
        const struct column *c = &target->columns[i], *old = NULL;

        for (int k = 0; k < source->column_count && old == NULL; k++)
            if (source->columns[k].attnum == c->attnum)
                old = &source->columns[k];
        if (old == NULL || (strcmp(c->type, old->type) == 0 && name_same(c->collation, old->collation)))
            continue;
        uses_add_type(types, c->type);
        uses_add_type(types, c->base_type);
    }
}

/* The definition is the first of the statements that create it. */
static bool
read_text(struct session *s, const struct object_id *object, const struct retarget *map, char **text,
          struct error *err)
{
    struct result r = {0};
    struct params p = {0};
    char classes[32], oids[32];
    bool ok;

    snprintf(classes, sizeof(classes), "{%u}", object->class_oid);
    snprintf(oids, sizeof(oids), "{%u}", object->oid);
    params_text(&p, classes);
    params_text(&p, oids);
    params_uint(&p, 0);
    params_text(&p, "{NULL}");
    ok = session_query_with(s, &r, err, sql_catalog_dependent_statements, &p);
    for (int i = 0; ok && *text == NULL && i < result_rows(&r); i++)
        if (strcmp(row_text(&r, i, "step"), "attach") == 0)
            *text = row_copy(&r, i, "sql");
    for (int i = 0; *text != NULL && i < map->count; i++)
        text_move(text, map->items[i].to, map->items[i].schema);
    result_free(&r);
    return ok && (*text == NULL || row_operators_bare(text, err));
}

bool
proof_read(struct session *s, const struct dependent *d, const struct retarget *map, struct proof *there,
           struct uses *made, char **text, struct error *err)
{
    struct buffer schemas = {0}, names = {0}, others = {0};
    struct params p = {0};
    struct result r = {0};
    bool ok;

    for (int i = 0; i < map->count; i++) {
        array_add(&schemas, map->items[i].schema);
        array_add(&names, map->items[i].name);
        array_add(&others, map->items[i].to);
    }
    params_uint(&p, d->class_oid);
    params_uint(&p, d->oid);
    params_text(&p, array_end(&schemas));
    params_text(&p, array_end(&names));
    params_text(&p, array_end(&others));
    ok = session_row_with(s, &r, err, sql_plan_counterpart, &p);
    if (ok) {
        struct object_id object = {(oid_t)row_uint(&r, 0, "classid"), (oid_t)row_uint(&r, 0, "objid")};

        ok = uses_read(s, &object, 1, made, err) &&
             (there == NULL || proof_add(there, s, &object, d->description, made, err)) &&
             read_text(s, &object, map, text, err);
    }
    for (int i = 0; ok && i < map->count; i++)
        uses_move(made, map->items[i].to, map->items[i].schema);
    result_free(&r);
    buffer_free(&schemas);
    buffer_free(&names);
    buffer_free(&others);
    return ok ? true : error_context(err, "reading what was made in the place of %s", d->description);
}

/* One line for each use, in the form in which the statement writes them. */
static void
uses_print(const struct uses *uses, struct buffer *out)
{
    buffer_add_text(out, "");
    for (int i = 0; i < uses->count; i++)
        buffer_printf(out, "%s%s %s %s", i > 0 ? "\n" : "", uses->items[i].part, uses->items[i].kind,
                      uses->items[i].identity);
}

/* address: kind, names and arguments for pg_get_object_address(), as SQL. */
static void
add_row(struct proof *proof, const char *address, const char *description, const struct uses *uses)
{
    const char *separator = proof->count > 0 ? ", " : "";
    struct buffer text = {0};

    proof->count++;
    buffer_printf(&proof->found, "%s(%d, %s)", separator, proof->count, address);
    uses_print(uses, &text);
    buffer_printf(&proof->wanted, "%s(%d, ", separator, proof->count);
    buffer_add_literal(&proof->wanted, description);
    buffer_add_text(&proof->wanted, ", ");
    buffer_add_literal(&proof->wanted, text.data);
    buffer_add_char(&proof->wanted, ')');
    buffer_free(&text);
}

bool
proof_add(struct proof *proof, struct session *s, const struct object_id *object, const char *description,
          const struct uses *uses, struct error *err)
{
    struct params p = {0};
    struct result r = {0};
    bool ok;

    if (uses_are_built_in(uses))
        return true;
    params_uint(&p, object->class_oid);
    params_uint(&p, object->oid);
    ok = session_row_with(s, &r, err, sql_plan_address, &p);
    if (ok)
        add_row(proof, row_text(&r, 0, "address"), description, uses);
    result_free(&r);
    return ok;
}

void
proof_add_own(struct proof *proof, const struct named_uses *named, const char *schema, const char *table,
              const char *name)
{
    bool of_table = strcmp(named->kind, "default value") == 0 || strcmp(named->kind, "table constraint") == 0;
    struct buffer address = {0};
    char *description;

    if (uses_are_built_in(&named->uses))
        return;
    buffer_add_literal(&address, named->kind);
    buffer_add_text(&address, ", ARRAY[");
    buffer_add_literal(&address, schema);
    buffer_add_text(&address, ", ");
    if (of_table) {
        buffer_add_literal(&address, table);
        buffer_add_text(&address, ", ");
    }
    buffer_add_literal(&address, name);
    buffer_add_text(&address, "]::pg_catalog.text[], '{}'::pg_catalog.text[]");
    description = of_table ? mem_printf("%s \"%s\" of table %s", named->kind, name, table)
                           : mem_printf("%s \"%s\"", named->kind, name);
    add_row(proof, address.data, description, &named->uses);
    free(description);
    buffer_free(&address);
}

/* The query of catalog_expressions.sql, over variables instead of its parameters. */
static void
add_uses_query(struct buffer *body)
{
    const char *at = sql_catalog_expressions, *end = strrchr(at, ';'), *found;

    while ((found = memchr(at, '$', (size_t)(end - at))) != NULL) {
        buffer_add(body, at, (size_t)(found - at));
        buffer_add_text(body, found[1] == '1' ? "pgrecast_classes" : "pgrecast_oids");
        at = found + 2;
    }
    buffer_add(body, at, (size_t)(end - at));
}

char *
proof_statement(struct proof *proof)
{
    struct buffer body = {0}, sql = {0};

    if (proof->count > 0) {
        buffer_printf(
            &body,
            "DECLARE pgrecast_classes pg_catalog.oid[]; pgrecast_oids pg_catalog.oid[]; "
            "pgrecast_wrong pg_catalog.text; BEGIN "
            "SELECT pg_catalog.array_agg(a.classid ORDER BY w.at), pg_catalog.array_agg(a.objid ORDER BY "
            "w.at) "
            "INTO pgrecast_classes, pgrecast_oids FROM (VALUES %s) w (at, kind, names, arguments) CROSS JOIN "
            "LATERAL pg_catalog.pg_get_object_address(w.kind, w.names, w.arguments) a; ",
            proof->found.data);
        buffer_printf(
            &body,
            "SELECT pg_catalog.string_agg(w.description, ', ') INTO pgrecast_wrong FROM (VALUES %s) w (at, "
            "description, uses) LEFT JOIN (SELECT u.at, pg_catalog.string_agg(pg_catalog.format('%%s %%s "
            "%%s', "
            "u.part, u.kind, u.identity), pg_catalog.chr(10) ORDER BY u.place) AS uses FROM (",
            proof->wanted.data);
        add_uses_query(&body);
        buffer_add_text(&body, ") u GROUP BY u.at) f ON f.at = w.at WHERE f.uses IS DISTINCT FROM w.uses; "
                               "IF pgrecast_wrong IS NOT NULL THEN RAISE EXCEPTION USING ERRCODE = "
                               "'" PLANNED_UNLIKE "', MESSAGE = pgrecast_wrong || ' would not mean the same: "
                               "operators, functions or types were added since the plan was made'; "
                               "END IF; END");
        buffer_add_text(&sql, "DO ");
        buffer_add_literal(&sql, body.data);
    }
    buffer_free(&body);
    buffer_free(&proof->found);
    buffer_free(&proof->wanted);
    *proof = (struct proof){0};
    return sql.data == NULL ? NULL : buffer_take(&sql);
}
