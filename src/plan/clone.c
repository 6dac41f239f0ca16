#include "clone.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "objects/foreign_key.h"
#include "objects/generate.h"
#include "objects/generated.h"
#include "pg/sqlstate.h"
#include "rows/view.h"
#include "sql/sql.h"
#include "clone_statement.h"
#include "meaning.h"
#include "verdict.h"

#define MOST_COLLISION_ROUNDS 20

char *
clone_schema_name(struct session *s)
{
    uint64_t random = 0;

    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        random = (uint64_t)(uintptr_t)s;
    return mem_printf("pgrecast_plan_%d_%016llx", session_backend_pid(s), (unsigned long long)random);
}

static bool
clone_run_list(struct clone *c, struct string_list *list, struct error *err)
{
    bool ok = true;

    for (int i = 0; ok && i < list->count; i++)
        ok = session_execute(c->s, err, list->items[i]);
    list_free(list);
    return ok;
}

/*
 * Stand-ins for sequences that are only OWNED BY a column, so that the server chooses names and drops
 * sequences as it would with the real ones.
 */
static void
make_owned_sequences(const struct clone *c, const struct generate *g, struct string_list *out)
{
    char *self = name_qualified(c->schema, c->source->name);

    for (int i = 0; i < c->source->column_count; i++) {
        char *column = name_quoted(c->source->columns[i].name);

        for (const struct owned_sequence *q = c->source->columns[i].sequence; q != NULL; q = q->next) {
            char *name = name_qualified(c->schema, q->name);

            if (!q->identity) {
                generate_sequence(g, q, out);
                list_addf(out, "ALTER SEQUENCE %s OWNED BY %s.%s", name, self, column);
            }
            free(name);
        }
        free(column);
    }
    free(self);
}

/*
 * Set the clone's identity sequences to the position of the real ones, so that the server checks new limits
 * against that.
 */
static void
set_identity_sequences(const struct clone *c, struct string_list *out)
{
    for (int i = 0; i < c->source->column_count; i++) {
        const struct owned_sequence *q = c->source->columns[i].sequence;
        char *real;
        char *name;
        struct buffer literal = {0};

        if (q == NULL || !q->identity)
            continue;
        real = name_qualified(q->schema, q->name);
        name = name_qualified(c->schema, q->name);
        buffer_add_literal(&literal, name);
        list_addf(out, "SELECT pg_catalog.setval(%s, last_value, is_called) FROM %s", literal.data, real);
        buffer_free(&literal);
        free(name);
        free(real);
    }
}

/* Sequences in another schema than the table's get another schema here too. */
static void
make_statistics(const struct clone *c, const struct generate *g, struct string_list *out)
{
    struct string_list made = {0};

    for (int i = 0; i < c->source->statistics_count; i++) {
        const struct extended_statistics *x = &c->source->statistics[i];
        char *schema = generate_statistics_schema(g, x);

        if (strcmp(schema, c->schema) != 0 && !list_has(&made, schema)) {
            list_addf(out, "CREATE SCHEMA %s", schema);
            list_add(&made, mem_strdup(schema));
        }
        generate_statistics(g, x, out);
        free(schema);
    }
    list_free(&made);
}

static bool
make_schema(struct clone *c, struct error *err)
{
    if (session_executef(c->s, err, "CREATE SCHEMA %s", c->schema))
        return true;
    if (!err->connection_lost && !err->stopped)
        err->kind = ERROR_REFUSED;
    if (sqlstate_is(err, SQLSTATE_INSUFFICIENT_PRIVILEGE))
        error_hint(err, "GRANT CREATE ON DATABASE to the session's role.");
    return false;
}

static bool
make_clone(struct clone *c, struct error *err)
{
    struct generate g = {.table = c->source, .schema = c->schema, .name = c->source->name};
    struct string_list out = {0};

    if (!make_schema(c, err))
        return error_context(err, "making an empty clone of the table");
    generate_table(&g, &out);
    make_owned_sequences(c, &g, &out);
    if (!c->apart)
        set_identity_sequences(c, &out);
    for (int i = 0; i < c->source->index_count; i++) {
        const struct index *index = &c->source->indexes[i];
        const struct constraint *constraint = generate_constraint_of(c->source, index);

        if (constraint == NULL || !generate_builds_index(c->source, constraint))
            list_add(&out, generate_index(&g, index));
        if (constraint != NULL)
            list_add(&out, generate_index_constraint(&g, constraint, index));
        generate_index_extras(&g, index, &out);
    }
    generate_not_valid(&g, &out);
    generate_comments(&g, &out);
    make_statistics(c, &g, &out);
    generate_identity(&g, &out);
    if (!clone_run_list(c, &out, err) || !foreign_keys_clone(c->s, c->source, c->schema, err)) {
        if (!err->connection_lost && !err->stopped)
            err->kind = ERROR_REFUSED;
        return error_context(err, "making an empty clone of the table");
    }
    if (c->result->referenced.count == 0 &&
        !referenced_find(c->s, c->statements, &c->result->referenced, err))
        return false;
    if (!referenced_make(c->s, c->source, c->schema, &c->result->referenced, err))
        return false;
    c->result->before = table_read(c->s, c->schema, c->source->name, err);
    if (c->result->before == NULL || !clone_run_list(c, &c->result->before_all, err))
        return false;
    snprintf(c->oid, sizeof(c->oid), "%u", c->result->before->oid);
    return true;
}

/* Read what the statements have made of the clone. */
static bool
read_after(struct clone *c, struct error *err)
{
    struct clone_result *result = c->result;

    result->after = table_read(c->s, c->schema, c->source->name, err);
    return result->after != NULL &&
           generated_restore(c->s, c->schema, c->source, result->after, &c->released, &result->uses, err) &&
           meaning_read(c->s, c->source, c->schema, result->after, &result->uses, err);
}

/*
 * Create an object with a name that is in use in the real schema, so that the server chooses another name, as
 * it would there.
 */
static void
reserve(struct clone *c, const char *kind, const char *name, struct string_list *out)
{
    char *qualified = name_qualified(c->schema, name);
    char *quoted = name_quoted(name);

    if (kind[0] == 'r') {
        list_addf(out, "CREATE SEQUENCE %s", qualified);
    } else {
        list_addf(out, "CREATE TABLE IF NOT EXISTS %s.pgrecast_names ()", c->schema);
        list_addf(out, "ALTER TABLE %s.pgrecast_names ADD CONSTRAINT %s CHECK (true)", c->schema, quoted);
    }
    list_addf(&c->reserved, "%s%s", kind, name);
    free(quoted);
    free(qualified);
}

/*
 * Find names of the clone that another object in the table's schema has. *again is false if there is no new
 * one.
 */
static bool
find_collisions(struct clone *c, bool *again, struct string_list *out, struct error *err)
{
    char *schema = name_quoted(c->source->schema);
    struct params p = {0};
    struct result r = {0};
    bool ok;

    params_text(&p, c->schema);
    params_text(&p, schema);
    params_uint(&p, c->source->oid);
    ok = session_query_with(c->s, &r, err, sql_plan_collisions, &p);
    *again = false;
    for (int i = 0; ok && i < result_rows(&r); i++) {
        char *key = mem_printf("%s%s", row_text(&r, i, "kind"), row_text(&r, i, "name"));

        if (!list_has(&c->reserved, key)) {
            reserve(c, row_text(&r, i, "kind"), row_text(&r, i, "name"), out);
            *again = true;
        }
        free(key);
    }
    result_free(&r);
    free(schema);
    return ok;
}

static bool
has_stored_generated(const struct table *t)
{
    for (int i = 0; i < t->column_count; i++)
        if (t->columns[i].generated == 's')
            return true;
    return false;
}

static void
start_transforms(struct clone *c)
{
    struct transform *t = &c->result->transform;

    transform_free(t);
    transform_start(t, c->source, GENERATED_COMPUTED);
    if (c->compare_stored && has_stored_generated(c->source)) {
        t->stored = mem_alloc(sizeof(*t->stored));
        transform_start(t->stored, c->source, GENERATED_STORED);
    }
}

/* Run all statements. Repeat with more names held until none of the names that the server chose collides. */
static bool
clone_run_statements(struct clone *c, struct error *err)
{
    const struct session_settings *settings = session_settings(c->s, err);
    struct string_list reservations = {0};
    bool again = true;

    if (settings == NULL)
        return false;
    for (int round = 0; again; round++) {
        if (!session_execute(c->s, err, "SAVEPOINT pgrecast_round"))
            return false;
        start_transforms(c);
        c->result->transform.texts_differ = settings->differ;
        c->result->transform.encoding = session_encoding(c->s);
        list_free(&c->result->notes);
        c->result->restarts.count = 0;
        for (int i = 0; i < c->statements->count; i++)
            if (!clone_run_statement(c, &c->statements->items[i], err))
                return false;
        if (!c->apart && !find_collisions(c, &again, &reservations, err))
            return false;
        if (!again || c->apart)
            break;
        if (round == MOST_COLLISION_ROUNDS)
            return error_set(err, ERROR_FAILED,
                             "cannot find the names that new indexes and constraints will get");
        if (!session_execute(c->s, err, "ROLLBACK TO SAVEPOINT pgrecast_round") ||
            !clone_run_list(c, &reservations, err))
            return false;
    }
    return true;
}

/* The positions that RESTART gave to identity sequences that still exist. */
static bool
read_restarts(struct clone *c, struct error *err)
{
    for (int i = 0; i < c->result->restarts.count; i++) {
        struct restart *restart = &c->result->restarts.items[i];
        const struct column *column = table_column(c->result->after, restart->attnum);
        struct result r = {0};
        char *name;
        char *sql;
        bool ok;

        if (column == NULL || column->sequence == NULL)
            continue;
        name = name_qualified(c->schema, column->sequence->name);
        sql = mem_printf("SELECT last_value, is_called FROM %s", name);
        ok = session_row(c->s, &r, err, sql, 0);
        if (ok) {
            restart->last_value = row_int(&r, 0, "last_value");
            restart->is_called = row_bool(&r, 0, "is_called");
        }
        result_free(&r);
        free(sql);
        free(name);
        if (!ok)
            return false;
    }
    return true;
}

bool
clone_run(struct session *s, const struct table *source, const char *schema,
          const struct statement_list *statements, bool compare_stored, struct clone_result *result,
          struct error *err)
{
    struct clone c = {.s = s,
                      .schema = schema,
                      .source = source,
                      .statements = statements,
                      .result = result,
                      .compare_stored = compare_stored};
    struct string_list printed = {0};
    bool ok = make_clone(&c, err) && meaning_prove(s, source, schema, result->before, &printed, err) &&
              clone_judge_statements(&c, err) && clone_run_statements(&c, err);

    ok = ok && read_after(&c, err) && read_restarts(&c, err);
    list_add_all(&result->notes, &printed);
    list_free(&printed);
    free(c.released.attnums);
    list_free(&c.reserved);
    return ok;
}

/* Sequences have other names, or other owners: what the columns' defaults say of them is no longer true. */
static void
forget_sequences(struct table *t)
{
    for (int i = 0; i < t->column_count; i++) {
        struct column *c = &t->columns[i];

        if (c->generated == '\0' && c->default_expr != NULL && strstr(c->default_expr, "nextval(") != NULL) {
            free(c->default_expr);
            c->default_expr = NULL;
        }
    }
}

bool
clone_run_apart(struct session *s, const struct table *source, const char *schema,
                const struct statement_list *statements, bool compare_stored, struct clone_result *result,
                struct error *err)
{
    struct table *described = table_copy(source);
    struct clone c = {.s = s,
                      .schema = schema,
                      .source = described,
                      .statements = statements,
                      .result = result,
                      .apart = true,
                      .compare_stored = compare_stored};
    bool ok;

    forget_sequences(described);
    ok = make_clone(&c, err) && clone_run_statements(&c, err);
    ok = ok && read_after(&c, err);
    free(c.released.attnums);
    /* the transform points to the caller's table */
    result->transform.source = source;
    if (result->transform.stored != NULL)
        result->transform.stored->source = source;
    table_free(described);
    return ok;
}

void
clone_result_free(struct clone_result *result)
{
    table_free(result->before);
    table_free(result->after);
    transform_free(&result->transform);
    verdicts_free(&result->verdicts);
    list_free(&result->notes);
    referenced_free(&result->referenced);
    list_free(&result->before_all);
    free(result->restarts.items);
    table_uses_free(&result->uses);
    *result = (struct clone_result){0};
}
