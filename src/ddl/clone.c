#include "ddl/clone.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "ddl/foreign_key.h"
#include "ddl/generated.h"
#include "ddl/generate.h"
#include "core/list.h"
#include "ddl/view.h"
#include "sql/sql.h"

#define MOST_COLLISION_ROUNDS 20
#define USING "USING expression"

struct clone {
    struct session *s;
    const char *schema;
    const struct table *source;
    const struct statement_list *statements;
    struct clone_result *result;
    bool apart; /* the source's names are not its own */
    char oid[16];
    struct released released;    /* generated columns that are plain for the time being */
    struct string_list reserved; /* names held in the scratch schema, each after its kind */
};

char *
clone_schema_name(struct session *s)
{
    uint64_t random = 0;

    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        random = (uint64_t)(uintptr_t)s;
    return mem_printf("pgrecast_plan_%d_%016llx", session_backend_pid(s), (unsigned long long)random);
}

static bool
run_list(struct clone *c, struct string_list *list, struct error *err)
{
    bool ok = true;

    for (int i = 0; ok && i < list->count; i++)
        ok = session_execute(c->s, err, list->items[i]);
    list_free(list);
    return ok;
}

/* Sequences that are only OWNED BY a column: stand-ins, so that names and drops come out as with the real
 * ones. */
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

/* Identity sequences stand where the real ones do, so that new limits are checked against that. */
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

/* Those that are in another schema than the table get another one here too. */
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
make_clone(struct clone *c, struct error *err)
{
    struct generate g = {.table = c->source, .schema = c->schema, .name = c->source->name};
    struct string_list out = {0};

    list_addf(&out, "CREATE SCHEMA %s", c->schema);
    generate_table(&g, &out);
    make_owned_sequences(c, &g, &out);
    if (!c->apart)
        set_identity_sequences(c, &out);
    for (int i = 0; i < c->source->index_count; i++) {
        const struct index *index = &c->source->indexes[i];
        const struct constraint *constraint = generate_constraint_of(c->source, index);

        if (constraint == NULL || !generate_builds_index(constraint))
            list_add(&out, generate_index(&g, index));
        if (constraint != NULL)
            list_add(&out, generate_index_constraint(&g, constraint, index));
        generate_index_extras(&g, index, &out);
    }
    generate_not_valid(&g, &out);
    generate_comments(&g, &out);
    make_statistics(c, &g, &out);
    generate_identity(&g, &out);
    if (!run_list(c, &out, err) || !foreign_keys_clone(c->s, c->source, c->schema, err)) {
        if (!err->connection_lost && !err->stopped)
            err->kind = ERROR_REFUSED;
        if (strcmp(err->sqlstate, "42501") == 0 && strstr(err->message, "database") != NULL)
            error_hint(err, "GRANT CREATE ON DATABASE to the session's role.");
        return error_context(err, "making an empty clone of the table");
    }
    c->result->before = table_read(c->s, c->schema, c->source->name, err);
    if (c->result->before == NULL)
        return false;
    snprintf(c->oid, sizeof(c->oid), "%u", c->result->before->oid);
    return true;
}

/* Added columns with a default that is the same for all rows: what it is now. */
static bool
evaluate_constants(struct clone *c, const struct stage *before, struct stage *now, struct error *err)
{
    for (int i = 0; before != NULL && i < now->count; i++) {
        struct stage_column *column = &now->columns[i];
        struct result r = {0};
        char *sql;
        bool ok;

        if (stage_column(before, column->attnum) != NULL || column->constant != NULL ||
            column->generated != '\0' || column->identity != '\0' || column->default_expr == NULL ||
            column->default_volatile)
            continue;
        sql = mem_printf("SELECT CAST(%s AS %s)", column->default_expr, column->type);
        ok = session_row(c->s, &r, err, sql, 0);
        if (ok)
            column->constant = mem_strdup(result_text(&r, 0, 0));
        result_free(&r);
        free(sql);
        if (!ok)
            return error_context(err, "evaluating the default of column \"%s\"", column->name);
    }
    return true;
}

static bool
read_stage(struct clone *c, const struct stage *before, struct stage *stage, struct error *err)
{
    struct result r = {0};

    *stage = (struct stage){0};
    if (!session_query(c->s, &r, err, sql_plan_stage_columns, 1, c->oid))
        return false;
    stage->columns = mem_alloc(((size_t)result_rows(&r) + 1) * sizeof(*stage->columns));
    stage->count = result_rows(&r);
    for (int i = 0; i < stage->count; i++)
        stage->columns[i] = (struct stage_column){
            .attnum = (int)result_int(&r, i, 0),
            .name = mem_strdup(result_text(&r, i, 1)),
            .type = mem_strdup(result_text(&r, i, 2)),
            .bare_type = mem_strdup(result_text(&r, i, 3)),
            .type_id = mem_strdup(result_text(&r, i, 4)),
            .cuts = result_bool(&r, i, 5),
            .generated = result_text(&r, i, 6)[0],
            .identity = result_text(&r, i, 7)[0],
            .constant = mem_strdup(result_text(&r, i, 8)),
            .default_expr = mem_strdup(result_text(&r, i, 9)),
            .default_volatile = result_bool(&r, i, 10),
        };
    result_free(&r);
    return evaluate_constants(c, before, stage, err);
}

static bool
blame(const struct clone *c, const struct statement *statement, struct error *err)
{
    foreign_keys_blame(c->source, err->message);
    foreign_keys_blame(c->source, err->detail);
    return view_blame(c->schema, statement->text, err);
}

static bool
release_generated(struct clone *c, const struct statement *statement, struct released *released,
                  struct error *err)
{
    char *self = name_qualified(c->schema, c->source->name);
    bool ok = generated_release(c->s, self, c->oid, statement, released, err);

    free(self);
    return ok;
}

/* What the statements have made of the clone. */
static bool
read_after(struct clone *c, struct error *err)
{
    struct clone_result *result = c->result;

    result->after = table_read(c->s, c->schema, c->source->name, err);
    return result->after != NULL &&
           generated_restore(c->s, c->schema, c->source, result->after, &c->released, err);
}

static struct view_place
place(const struct clone *c)
{
    return (struct view_place){c->s, c->schema, c->source->name, c->oid, &c->result->notes};
}

static void
note_restarts(struct clone *c, const struct statement *statement, const struct stage *before)
{
    struct clone_result *result = c->result;

    for (int k = 0; k < statement->clause_count; k++) {
        const struct clause *clause = &statement->clauses[k];
        const struct stage_column *column =
            clause->restarts ? stage_column_named(before, clause->column) : NULL;

        if (column == NULL)
            continue;
        result->restarts =
            mem_array(result->restarts, (size_t)result->restart_count + 1, sizeof(*result->restarts));
        result->restarts[result->restart_count++] = (struct restart){.attnum = column->attnum};
    }
}

struct cast_views {
    int count;
    char **items; /* by column of the stage, NULL where there is none */
};

/* What a USING that only casts its column does to it, each by itself. */
static bool
read_casts(struct clone *c, const struct statement *statement, const struct stage *before,
           struct cast_views *views, struct error *err)
{
    struct view_place v = place(c);
    struct string_list ignored = {0};
    bool ok = true;

    v.notes = &ignored;
    views->count = before->count;
    views->items = mem_alloc(((size_t)before->count + 1) * sizeof(*views->items));
    for (int i = 0; ok && i < statement->clause_count; i++) {
        const struct clause *clause = &statement->clauses[i];
        const struct stage_column *column =
            clause->using_cast ? stage_column_named(before, clause->column) : NULL;
        char *list;

        if (column == NULL || column->generated != '\0' || views->items[column - before->columns] != NULL)
            continue;
        list = mem_printf("SELECT (%s) AS c1", clause->using_expr);
        ok = view_read(&v, list, statement->text, USING, &views->items[column - before->columns], NULL, 0,
                       err);
        free(list);
    }
    list_free(&ignored);
    return ok;
}

/* Hand them to the transform, now that the statement has run. */
static void
note_casts(struct clone *c, const struct stage *before, struct cast_views *views)
{
    for (int i = 0; i < views->count; i++) {
        if (views->items[i] != NULL)
            transform_note_cast(&c->result->transform, before->columns[i].attnum, before->columns[i].name,
                                views->items[i]);
        views->items[i] = NULL;
    }
}

static void
cast_views_free(struct cast_views *views)
{
    for (int i = 0; i < views->count; i++)
        free(views->items[i]);
    free(views->items);
}

static bool
run_statement(struct clone *c, const struct statement *statement, struct error *err)
{
    struct transform *t = &c->result->transform;
    struct view_place v = place(c);
    struct stage before = {0};
    struct stage after = {0};
    struct cast_views casts = {0};
    char *list = NULL;
    char *view = NULL;
    bool ok = false;

    if (!read_stage(c, NULL, &before, err) || !transform_prepare(t, &before, statement, &list, err))
        goto out;
    if (list != NULL && !view_read(&v, list, statement->text, USING, &view, NULL, 0, err))
        goto out;
    if (!read_casts(c, statement, &before, &casts, err))
        goto out;
    if (!release_generated(c, statement, &c->released, err) || !view_search_path(c->s, true, err))
        goto out;
    if (!session_execute(c->s, err, statement->sql)) {
        blame(c, statement, err);
        goto out;
    }
    if (!view_search_path(c->s, false, err) || !read_stage(c, &before, &after, err))
        goto out;
    note_restarts(c, statement, &before);
    ok = transform_step(t, &before, &after, statement, view, err);
    if (ok)
        note_casts(c, &before, &casts);
out:
    cast_views_free(&casts);
    free(list);
    free(view);
    stage_free(&before);
    stage_free(&after);
    return ok;
}

/* What the debug messages of one clause say the server did. */
static const char *
verdict_of(const char *notices, const struct clause *clause, bool *rewrites)
{
    if (strstr(notices, "rewriting table") != NULL || clause->sets_tablespace) {
        *rewrites = true;
        return clause->sets_tablespace
                   ? "copies the table to the other tablespace (ACCESS EXCLUSIVE throughout)"
                   : "rewrites the table and its indexes (ACCESS EXCLUSIVE throughout)";
    }
    if (clause->lock == LOCK_SHARE_UPDATE_EXCLUSIVE_SCAN)
        return "scans the table (SHARE UPDATE EXCLUSIVE: reads and writes go on)";
    if (strstr(notices, "verifying table") != NULL)
        return "scans the table (ACCESS EXCLUSIVE throughout)";
    if (strstr(notices, "building index") != NULL)
        return clause->lock == LOCK_SHARE
                   ? "builds an index (SHARE: writes wait); plain CREATE INDEX CONCURRENTLY would do"
                   : "builds an index (ACCESS EXCLUSIVE throughout)";
    return clause->lock == LOCK_SHARE_UPDATE_EXCLUSIVE
               ? "changes the catalog only (SHARE UPDATE EXCLUSIVE, instant)"
               : "changes the catalog only (ACCESS EXCLUSIVE, instant)";
}

/* Each clause by itself. False when one does not stand alone: the statement as a whole must do then. */
static bool
judge_clauses(struct clone *c, const struct statement *statement, struct string_list *verdicts,
              bool *rewrites)
{
    char **found = mem_alloc(((size_t)statement->clause_count + 1) * sizeof(*found));
    struct error ignored = {0};
    struct buffer notices = {0};
    bool ok = true;

    session_collect_notices(c->s, &notices);
    for (int pass = 0; pass <= LAST_CLAUSE_PASS; pass++) {
        for (int i = 0; ok && i < statement->clause_count; i++) {
            const struct clause *clause = &statement->clauses[i];

            if (clause->pass != pass)
                continue;
            buffer_reset(&notices);
            ok = session_execute(c->s, &ignored, clause->sql);
            if (ok)
                found[i] = mem_printf("%s: %s", clause->text,
                                      verdict_of(notices.data != NULL ? notices.data : "", clause, rewrites));
        }
    }
    session_collect_notices(c->s, NULL);
    for (int i = 0; i < statement->clause_count; i++)
        if (ok)
            list_add(verdicts, found[i]);
        else
            free(found[i]);
    free(found);
    error_clear(&ignored);
    buffer_free(&notices);
    return ok;
}

/* The statements' verdicts, on the clone, then undone. */
static bool
judge_statements(struct clone *c, struct error *err)
{
    struct clone_result *result = c->result;
    struct buffer notices = {0};
    bool ok = session_execute(c->s, err,
                              "SAVEPOINT pgrecast_judge; SET LOCAL client_min_messages TO debug1; "
                              "SET LOCAL search_path TO DEFAULT; "
                              "SET LOCAL default_tablespace TO DEFAULT");

    for (int i = 0; ok && i < c->statements->count; i++) {
        const struct statement *statement = &c->statements->items[i];
        struct string_list verdicts = {0};
        bool rewrites = false;

        ok = release_generated(c, statement, NULL, err) &&
             session_execute(c->s, err, "SAVEPOINT pgrecast_clauses");
        if (ok && !judge_clauses(c, statement, &verdicts, &rewrites)) {
            list_free(&verdicts);
            rewrites = false;
            ok = session_execute(c->s, err, "ROLLBACK TO SAVEPOINT pgrecast_clauses");
            session_collect_notices(c->s, &notices);
            if (ok && !session_execute(c->s, err, statement->sql))
                ok = blame(c, statement, err);
            session_collect_notices(c->s, NULL);
            if (ok)
                list_addf(
                    &verdicts, "%s: %s", statement->text,
                    verdict_of(notices.data != NULL ? notices.data : "", &statement->clauses[0], &rewrites));
            buffer_reset(&notices);
        }
        result->rewrites = result->rewrites || rewrites;
        for (int k = 0; k < verdicts.count; k++)
            list_add(&result->verdicts, verdicts.items[k]);
        free(verdicts.items);
    }
    buffer_free(&notices);
    return ok && session_execute(c->s, err, "ROLLBACK TO SAVEPOINT pgrecast_judge");
}

/* Hold a name that the real schema has, so that the server chooses another, as it would there. */
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

/* Names of the clone that something else in the table's schema has: false in *again when there is none new.
 */
static bool
find_collisions(struct clone *c, bool *again, struct string_list *out, struct error *err)
{
    char *schema = name_quoted(c->source->schema);
    char oid[16];
    struct result r = {0};
    bool ok;

    snprintf(oid, sizeof(oid), "%u", c->source->oid);
    ok = session_query(c->s, &r, err, sql_plan_collisions, 3, c->schema, schema, oid);
    *again = false;
    for (int i = 0; ok && i < result_rows(&r); i++) {
        char *key = mem_printf("%s%s", result_text(&r, i, 0), result_text(&r, i, 1));

        if (!list_has(&c->reserved, key)) {
            reserve(c, result_text(&r, i, 0), result_text(&r, i, 1), out);
            *again = true;
        }
        free(key);
    }
    result_free(&r);
    free(schema);
    return ok;
}

/* Run all statements; again, with more names held, until none of the names it chose collides. */
static bool
run_statements(struct clone *c, struct error *err)
{
    struct string_list reservations = {0};
    bool again = true;

    for (int round = 0; again; round++) {
        if (!session_execute(c->s, err, "SAVEPOINT pgrecast_round"))
            return false;
        transform_free(&c->result->transform);
        transform_start(&c->result->transform, c->source);
        list_free(&c->result->notes);
        c->result->restart_count = 0;
        for (int i = 0; i < c->statements->count; i++)
            if (!run_statement(c, &c->statements->items[i], err))
                return false;
        if (!c->apart && !find_collisions(c, &again, &reservations, err))
            return false;
        if (!again || c->apart)
            break;
        if (round == MOST_COLLISION_ROUNDS)
            return error_set(err, ERROR_FAILED,
                             "cannot find the names that new indexes and constraints will get");
        if (!session_execute(c->s, err, "ROLLBACK TO SAVEPOINT pgrecast_round") ||
            !run_list(c, &reservations, err))
            return false;
    }
    return true;
}

/* Where RESTART set identity sequences that are still there. */
static bool
read_restarts(struct clone *c, struct error *err)
{
    for (int i = 0; i < c->result->restart_count; i++) {
        struct restart *restart = &c->result->restarts[i];
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
            restart->last_value = result_int(&r, 0, 0);
            restart->is_called = result_bool(&r, 0, 1);
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
          const struct statement_list *statements, struct clone_result *result, struct error *err)
{
    struct clone c = {.s = s, .schema = schema, .source = source, .statements = statements, .result = result};
    bool ok = make_clone(&c, err) && judge_statements(&c, err) && run_statements(&c, err);

    ok = ok && read_after(&c, err) && read_restarts(&c, err);
    free(c.released.attnums);
    list_free(&c.reserved);
    return ok;
}

/* Sequences have other names, or other owners: what the columns' defaults say of them no longer holds. */
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
                const struct statement_list *statements, struct clone_result *result, struct error *err)
{
    struct table *described = table_copy(source);
    struct clone c = {.s = s,
                      .schema = schema,
                      .source = described,
                      .statements = statements,
                      .result = result,
                      .apart = true};
    bool ok;

    forget_sequences(described);
    ok = make_clone(&c, err) && run_statements(&c, err);
    ok = ok && read_after(&c, err);
    free(c.released.attnums);
    /* the transform is of the caller's table */
    result->transform.source = source;
    table_free(described);
    return ok;
}

void
clone_result_free(struct clone_result *result)
{
    table_free(result->before);
    table_free(result->after);
    transform_free(&result->transform);
    list_free(&result->verdicts);
    list_free(&result->notes);
    free(result->restarts);
    *result = (struct clone_result){0};
}
