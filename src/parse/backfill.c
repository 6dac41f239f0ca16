#include "backfill.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "core/name.h"
#include "clause.h"

/* The first token at or after the byte of one of the parts of a column's definition, or last. */
static int
next_part(const struct parse *p, const PgQuery__ColumnDef *column, int after, int last)
{
    int next = token_find_outside(&p->tokens, after, last, PG_QUERY__TOKEN__COMPRESSION);

    for (size_t i = 0; i <= column->n_constraints; i++) {
        int at = i < column->n_constraints
                     ? token_at(&p->tokens, column->constraints[i]->constraint->location)
                 : column->coll_clause != NULL ? token_at(&p->tokens, column->coll_clause->location)
                                               : last;

        if (at > after && at < next)
            next = at;
    }
    return next;
}

static void
add_part(const struct parse *p, const PgQuery__ColumnDef *column, int location, int last, struct buffer *out)
{
    int first = token_at(&p->tokens, location);
    char *text =
        token_typed(&p->tokens, location, p->tokens.tokens[next_part(p, column, first, last) - 1].end);

    buffer_printf(out, "%s%s", out->len > 0 ? " " : "", text);
    free(text);
}

void
backfill_note_column(const struct parse *p, const PgQuery__ColumnDef *column, int last, struct clause *clause)
{
    struct buffer type = {0};

    add_part(p, column, column->type_name->location, last, &type);
    if (column->coll_clause != NULL)
        add_part(p, column, column->coll_clause->location, last, &type);
    clause->added_column = mem_strdup(column->colname);
    clause->added_type = buffer_take(&type);
}

/* The type of a column that the statements on the table have added, if none of them has changed it since; else NULL. */
static const char *
added_type(const struct statement_list *list, const struct typed_name *table, const char *column)
{
    const char *type = NULL;

    for (int i = 0; i < list->count; i++) {
        const struct statement *s = &list->items[i];

        if (!name_same(s->table.name, table->name) || !name_same(s->table.schema, table->schema))
            continue;
        for (int k = 0; k < s->clause_count; k++) {
            if (name_same(s->clauses[k].added_column, column))
                type = s->clauses[k].added_type;
            if (s->clauses[k].sets_type && name_same(s->clauses[k].column, column))
                type = NULL;
        }
    }
    return type;
}

static bool
backfill_refuse(const struct parse *p, const struct statement *s, const char *reason)
{
    error_set(p->err, ERROR_USAGE, "cannot do \"%s\": %s", s->text, reason);
    return error_hint(p->err, "A backfill is UPDATE table SET column = expression, for all rows and over the "
                              "row's own columns, of a "
                              "column that an ADD COLUMN before it has added.");
}

/* Why the whole UPDATE is no backfill; NULL: it may be one. */
static const char *
reason_against(const PgQuery__UpdateStmt *tree)
{
    if (tree->where_clause != NULL)
        return "it has a condition";
    if (tree->n_from_clause > 0)
        return "it reads other tables";
    if (tree->with_clause != NULL || tree->n_returning_list > 0 || tree->relation->alias != NULL)
        return "it has more than SET";
    return NULL;
}

static const char *
reason_against_target(const PgQuery__ResTarget *target)
{
    if (target->n_indirection > 0)
        return "it sets a part of a column";
    if (target->val == NULL || target->val->node_case == PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF)
        return "it sets several columns at once";
    if (target->val->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT)
        return "it sets a default, which the column has already";
    return NULL;
}

/* The clause for one target, whose tokens are [first, last). */
static bool
add_target(struct parse *p, struct statement_list *list, int statement, const PgQuery__ResTarget *target,
           int first, int last)
{
    struct statement *s = &list->items[statement];
    const char *reason = reason_against_target(target);
    const char *type = reason == NULL ? added_type(list, &s->table, target->name) : NULL;
    int equals = token_find_outside(&p->tokens, first, last, '=');
    struct clause *clause;
    char *expression, *column, *table;

    if (reason == NULL && type == NULL)
        reason = "the statements before it do not add the column";
    if (reason != NULL)
        return backfill_refuse(p, s, reason);
    expression = token_render(&p->tokens, p->tokens.tokens[equals].end, p->tokens.tokens[last - 1].end);
    column = name_quoted(target->name);
    table = name_qualified(p->clone_schema, s->table.name);
    clause = parsing_clause(
        s, mem_printf("UPDATE SET %s = %s", column, expression),
        mem_printf("ALTER TABLE %s ALTER COLUMN %s TYPE %s USING (%s)", table, column, type, expression));
    clause_backfill(clause, target, s->table.name);
    clause->using_expr = expression;
    free(table);
    free(column);
    return true;
}

/* All clauses as one statement: each expression reads the row as it was. */
static char *
join(const struct parse *p, const struct statement *s)
{
    char *table = name_qualified(p->clone_schema, s->table.name);
    char *begin = mem_printf("ALTER TABLE %s ", table);
    struct buffer sql = {0};

    for (int i = 0; i < s->clause_count; i++)
        buffer_printf(&sql, "%s%s", i == 0 ? begin : ", ", s->clauses[i].sql + strlen(begin));
    free(begin);
    free(table);
    return buffer_take(&sql);
}

bool
backfill_parse(struct parse *p, struct statement_list *list, const PgQuery__UpdateStmt *tree,
               const struct span *span)
{
    struct statement *s = parsing_statement(list, STATEMENT_BACKFILL, p, span);
    int statement = list->count - 1;
    int first = token_find_outside(&p->tokens, span->first, span->last, PG_QUERY__TOKEN__SET) + 1;
    bool ok = true;

    s->table = typed_name_make(tree->relation->schemaname, tree->relation->relname);
    if (reason_against(tree) != NULL)
        return backfill_refuse(p, s, reason_against(tree));
    parsing_redirect_references(p, &tree->base, tree->relation->relname);
    for (size_t i = 0; ok && i < tree->n_target_list; i++) {
        int comma = token_find_outside(&p->tokens, first, span->last, ',');

        ok = add_target(p, list, statement, tree->target_list[i]->res_target, first, comma);
        first = comma + 1;
    }
    s = &list->items[statement];
    if (ok)
        s->sql = join(p, s);
    return ok && parsing_one_database(p, tree->relation);
}
