#include "clone_statement.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "core/name.h"
#include "objects/foreign_key.h"
#include "rows/view.h"
#include "sql/sql.h"

#define USING "USING expression"

/* Evaluated under the settings of evaluation; its text is written under those of transport. */
static bool
evaluate_default(struct clone *c, struct stage_column *column, struct error *err)
{
    const struct session_settings *settings = session_settings(c->s, err);
    struct result r = {0};
    char *sql;
    bool ok;

    if (settings == NULL)
        return false;
    sql = mem_printf(settings->differ ? "SELECT " SESSION_TEXT_FUNCTION "(CAST(%s AS %s)) AS value"
                                      : "SELECT CAST(%s AS %s) AS value",
                     column->default_expr, column->type);
    ok = (!settings->differ || session_make_text_function(c->s, err)) && session_evaluate(c->s, err) &&
         session_row(c->s, &r, err, sql, 0) && session_transport(c->s, err);
    if (ok)
        column->constant = row_copy(&r, 0, "value");
    result_free(&r);
    free(sql);
    return ok;
}

/* Added columns with a default that is the same for all rows: the value that it has now. */
static bool
evaluate_constants(struct clone *c, const struct stage *before, struct stage *now, struct error *err)
{
    for (int i = 0; before != NULL && i < now->count; i++) {
        struct stage_column *column = &now->columns[i];

        if (stage_column(before, column->attnum) != NULL || column->constant != NULL ||
            column->generated != '\0' || column->identity != '\0' || column->default_expr == NULL ||
            column->default_volatile)
            continue;
        if (!evaluate_default(c, column, err))
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
            .attnum = (int)row_int(&r, i, "attnum"),
            .name = row_copy(&r, i, "attname"),
            .type = row_copy(&r, i, "type"),
            .bare_type = row_copy(&r, i, "bare_type"),
            .type_id = row_copy(&r, i, "type_id"),
            .cuts = row_bool(&r, i, "cuts"),
            .generated = row_text(&r, i, "attgenerated")[0],
            .identity = row_text(&r, i, "attidentity")[0],
            .constant = row_copy(&r, i, "constant"),
            .default_expr = row_copy(&r, i, "default_expr"),
            .default_volatile = row_bool(&r, i, "default_volatile"),
        };
    result_free(&r);
    return evaluate_constants(c, before, stage, err);
}

bool
clone_blame(const struct clone *c, const struct statement *statement, struct error *err)
{
    foreign_keys_blame(c->source, &c->result->referenced, err->message);
    foreign_keys_blame(c->source, &c->result->referenced, err->detail);
    return view_blame(c->schema, statement->text, err);
}

bool
clone_release_generated(struct clone *c, const struct statement *statement, struct released *released,
                        struct error *err)
{
    char *self = name_qualified(c->schema, c->source->name);
    bool ok = generated_release(c->s, self, c->oid, statement, released, err);

    free(self);
    return ok;
}

static struct view_place
place(const struct clone *c)
{
    return (struct view_place){c->s, c->schema, c->source->name, c->oid, &c->result->notes};
}

static void
note_restarts(struct clone *c, const struct statement *statement, const struct stage *before)
{
    struct restart_list *list = &c->result->restarts;

    for (int k = 0; k < statement->clause_count; k++) {
        const struct clause *clause = &statement->clauses[k];
        const struct stage_column *column =
            clause->restarts ? stage_column_named(before, clause->column) : NULL;

        if (column == NULL)
            continue;
        list->items = mem_array(list->items, (size_t)list->count + 1, sizeof(*list->items));
        list->items[list->count++] = (struct restart){.attnum = column->attnum};
    }
}

struct cast_views {
    int count;
    char **items;       /* by column of the stage, NULL where there is none */
    const char **zones; /* likewise: where it is AT TIME ZONE a constant */
};

/* For each USING that only casts its column, or is AT TIME ZONE a constant: what it makes of the column, read separately. */
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
    views->zones = mem_alloc(((size_t)before->count + 1) * sizeof(*views->zones));
    for (int i = 0; ok && i < statement->clause_count; i++) {
        const struct clause *clause = &statement->clauses[i];
        const struct stage_column *column = clause->using_cast || clause->using_zone != NULL
                                                ? stage_column_named(before, clause->column)
                                                : NULL;
        char *list;

        if (column == NULL || column->generated != '\0' || views->items[column - before->columns] != NULL)
            continue;
        list = mem_printf("SELECT (%s) AS c1", clause->using_expr);
        ok = view_read(&v, list, statement->text, USING, &views->items[column - before->columns], NULL, 0,
                       err);
        views->zones[column - before->columns] = clause->using_zone;
        free(list);
    }
    list_free(&ignored);
    return ok;
}

/* Hand them to the transform, after the statement has run. */
static void
note_casts(struct clone *c, const struct stage *before, struct cast_views *views)
{
    for (int i = 0; i < views->count; i++) {
        if (views->items[i] != NULL)
            transform_note_cast(&c->result->transform, before->columns[i].attnum, before->columns[i].name,
                                views->zones[i], views->items[i]);
        views->items[i] = NULL;
    }
}

static void
cast_views_free(struct cast_views *views)
{
    for (int i = 0; i < views->count; i++)
        free(views->items[i]);
    free(views->items);
    free(views->zones);
}

/* The server's text of what the statement's USING expressions make of the transform's columns. */
static bool
read_using(struct clone *c, struct transform *t, const struct stage *before,
           const struct statement *statement, struct string_list *notes, char **view, struct error *err)
{
    struct view_place v = place(c);
    char *list = NULL;
    bool ok;

    v.notes = notes;
    ok = transform_prepare(t, before, statement, &list, err) &&
         (list == NULL || view_read(&v, list, statement->text, USING, view, NULL, 0, err));
    free(list);
    return ok;
}

/* The same again, for the comparison. */
static bool
read_using_stored(struct clone *c, const struct stage *before, const struct statement *statement, char **view,
                  struct error *err)
{
    struct transform *t = c->result->transform.stored;
    struct string_list ignored = {0};
    bool ok = t == NULL || read_using(c, t, before, statement, &ignored, view, err);

    list_free(&ignored);
    return ok;
}

static bool
step_stored(struct clone *c, const struct stage *before, const struct stage *after,
            const struct statement *statement, const char *view, struct error *err)
{
    struct transform *t = c->result->transform.stored;

    for (int i = 0; t != NULL && i < c->released.count; i++)
        transform_recompute(t, c->released.attnums[i]);
    return t == NULL || transform_step(t, before, after, statement, view, err);
}

/* By column of the stage, the types of the values that its USING gives it; NULL where there is none. */
static bool
read_given_types(struct clone *c, const struct statement *statement, const struct stage *before, char **types,
                 struct error *err)
{
    struct view_place v = place(c);
    bool ok = true;

    for (int i = 0; ok && i < statement->clause_count; i++) {
        const struct clause *clause = &statement->clauses[i];
        const struct stage_column *column =
            clause->using_expr != NULL ? stage_column_named(before, clause->column) : NULL;

        if (column != NULL && column->generated == '\0' && types[column - before->columns] == NULL)
            ok = view_type_of(&v, clause->using_expr, &types[column - before->columns], err);
    }
    return ok;
}

/* The statement does not name the functions that convert a value to the type of its column. */
static bool
check_conversions(struct clone *c, const struct stage *before, const struct stage *after, char *const *types,
                  struct error *err)
{
    struct view_place v = place(c);
    bool ok = true;

    for (int i = 0; ok && i < before->count; i++) {
        const struct stage_column *from = &before->columns[i], *to = stage_column(after, from->attnum);
        const char *type = types[i] != NULL ? types[i] : from->type;

        if (to != NULL && to->generated == '\0' && strcmp(type, to->type) != 0)
            ok = view_check_conversion(&v, type, to->type, from->name, err);
    }
    return ok;
}

bool
clone_execute(struct clone *c, const char *sql, struct error *err)
{
    char *text = referenced_sql(&c->result->referenced, c->schema, sql);
    bool ok = session_execute(c->s, err, text);

    free(text);
    return ok;
}

bool
clone_run_statement(struct clone *c, const struct statement *statement, struct error *err)
{
    struct transform *t = &c->result->transform;
    struct stage before = {0};
    struct stage after = {0};
    struct cast_views casts = {0};
    char *view = NULL;
    char *stored_view = NULL;
    char **types = NULL;
    bool ok = false;

    if (!read_stage(c, NULL, &before, err) ||
        !read_using(c, t, &before, statement, &c->result->notes, &view, err) ||
        !read_using_stored(c, &before, statement, &stored_view, err))
        goto out;
    types = mem_alloc(((size_t)before.count + 1) * sizeof(*types));
    if (!read_casts(c, statement, &before, &casts, err) ||
        !read_given_types(c, statement, &before, types, err))
        goto out;
    if (!clone_release_generated(c, statement, &c->released, err) || !view_search_path(c->s, true, err))
        goto out;
    if (!clone_execute(c, statement->sql, err)) {
        clone_blame(c, statement, err);
        goto out;
    }
    if (!view_search_path(c->s, false, err) || !read_stage(c, &before, &after, err) ||
        !check_conversions(c, &before, &after, types, err))
        goto out;
    note_restarts(c, statement, &before);
    ok = transform_step(t, &before, &after, statement, view, err) &&
         step_stored(c, &before, &after, statement, stored_view, err);
    if (ok)
        note_casts(c, &before, &casts);
out:
    for (int i = 0; types != NULL && i < before.count; i++)
        free(types[i]);
    free(types);
    cast_views_free(&casts);
    free(view);
    free(stored_view);
    stage_free(&before);
    stage_free(&after);
    return ok;
}
