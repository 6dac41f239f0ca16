#include "history.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "core/name.h"

/* The tables of common tools, by their standard names. */
static const char *const known_tables[] = {
    "schema_migrations",    "alembic_version",  "django_migrations",           "flyway_schema_history",
    "_prisma_migrations",   "knex_migrations",  "__drizzle_migrations",        "pgmigrations",
    "SequelizeMeta",        "goose_db_version", "databasechangelog",           "typeorm_migrations",
    "mikro_orm_migrations", "phinxlog",         "doctrine_migration_versions",
};

static bool
history_refuse(const struct parse *p, const struct history_change *c, const char *reason)
{
    error_set(p->err, ERROR_USAGE, "cannot do \"%s\": %s", c->text, reason);
    return error_hint(
        p->err, "Of other tables than those to be rewritten, only rows in which a migration tool notes "
                "its migrations can be changed: INSERT with columns and constants, UPDATE and DELETE of "
                "one row, with conditions of the form column = constant. Run the rest by itself.");
}

static bool
add_constant(const PgQuery__AConst *constant, struct buffer *out)
{
    if (constant->isnull) {
        buffer_add_text(out, "NULL");
        return true;
    }
    switch (constant->val_case) {
    case PG_QUERY__A__CONST__VAL_SVAL:
        buffer_add_literal(out, constant->sval->sval);
        return true;
    case PG_QUERY__A__CONST__VAL_IVAL:
        buffer_printf(out, "%d", constant->ival->ival);
        return true;
    case PG_QUERY__A__CONST__VAL_FVAL:
        buffer_add_text(out, constant->fval->fval);
        return true;
    case PG_QUERY__A__CONST__VAL_BOOLVAL:
        buffer_add_text(out, constant->boolval->boolval ? "true" : "false");
        return true;
    default:
        return false;
    }
}

/* 'constant'::type, for a type that is named without more than its name. */
static bool
add_cast(const PgQuery__TypeCast *cast, struct buffer *out)
{
    const PgQuery__TypeName *type = cast->type_name;

    if (cast->arg->node_case != PG_QUERY__NODE__NODE_A_CONST || type->n_typmods > 0 ||
        type->n_array_bounds > 0)
        return false;
    buffer_add_text(out, "CAST(");
    if (!add_constant(cast->arg->a_const, out))
        return false;
    buffer_add_text(out, " AS ");
    for (size_t i = 0; i < type->n_names; i++) {
        buffer_add_text(out, i > 0 ? "." : "");
        buffer_add_identifier(out, tree_string(type->names[i]));
    }
    buffer_add_char(out, ')');
    return true;
}

/* The time of the transaction: now(), CURRENT_TIMESTAMP. */
static bool
is_now(const PgQuery__Node *node)
{
    const PgQuery__FuncCall *call;

    if (node->node_case == PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION)
        return node->sqlvalue_function->op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP;
    if (node->node_case != PG_QUERY__NODE__NODE_FUNC_CALL)
        return false;
    call = node->func_call;
    return call->n_args == 0 && call->n_funcname == 1 && strcmp(tree_string(call->funcname[0]), "now") == 0;
}

/* False if the node is neither a constant nor the time. */
static bool
read_value(const PgQuery__Node *node, struct history_value *value)
{
    struct buffer out = {0};
    bool ok = true;

    if (node->node_case == PG_QUERY__NODE__NODE_A_CONST) {
        ok = add_constant(node->a_const, &out);
        value->null = node->a_const->isnull;
    } else if (node->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) {
        ok = add_cast(node->type_cast, &out);
    } else if (is_now(node)) {
        buffer_add_text(&out, "pg_catalog.now()");
        value->now = true;
    } else {
        ok = false;
    }
    value->sql = buffer_take(&out);
    return ok;
}

static struct history_value *
row_add(struct history_row *row, const char *column)
{
    row->items = mem_array(row->items, (size_t)row->count + 1, sizeof(*row->items));
    row->items[row->count] = (struct history_value){.column = mem_strdup(column)};
    return &row->items[row->count++];
}

static struct history_row *
change_add_row(struct history_change *c)
{
    c->rows = mem_array(c->rows, (size_t)c->row_count + 1, sizeof(*c->rows));
    c->rows[c->row_count] = (struct history_row){0};
    return &c->rows[c->row_count++];
}

/* column = constant, in either order. */
static bool
read_condition(const PgQuery__Node *node, struct history_row *where)
{
    const PgQuery__Node *left, *right;
    const PgQuery__ColumnRef *column;

    if (node->node_case != PG_QUERY__NODE__NODE_A_EXPR ||
        node->a_expr->kind != PG_QUERY__A__EXPR__KIND__AEXPR_OP || node->a_expr->n_name != 1 ||
        strcmp(tree_string(node->a_expr->name[0]), "=") != 0 || node->a_expr->lexpr == NULL)
        return false;
    left = node->a_expr->lexpr;
    right = node->a_expr->rexpr;
    if (left->node_case != PG_QUERY__NODE__NODE_COLUMN_REF) {
        left = node->a_expr->rexpr;
        right = node->a_expr->lexpr;
    }
    if (left->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return false;
    column = left->column_ref;
    if (tree_string(column->fields[column->n_fields - 1]) == NULL)
        return false;
    return read_value(right, row_add(where, tree_string(column->fields[column->n_fields - 1])));
}

static bool
read_where(const PgQuery__Node *node, struct history_row *where)
{
    if (node == NULL)
        return false;
    if (node->node_case != PG_QUERY__NODE__NODE_BOOL_EXPR)
        return read_condition(node, where);
    if (node->bool_expr->boolop != PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR)
        return false;
    for (size_t i = 0; i < node->bool_expr->n_args; i++)
        if (!read_where(node->bool_expr->args[i], where))
            return false;
    return true;
}

/* A condition that is true for no row, or for another one at another time. */
static bool
where_is_vague(const struct history_row *where)
{
    for (int i = 0; i < where->count; i++)
        if (where->items[i].null || where->items[i].now)
            return true;
    return false;
}

static const char *
parse_insert(struct history_change *c, const PgQuery__InsertStmt *tree)
{
    const PgQuery__SelectStmt *values =
        tree->select_stmt != NULL && tree->select_stmt->node_case == PG_QUERY__NODE__NODE_SELECT_STMT
            ? tree->select_stmt->select_stmt
            : NULL;

    if (tree->n_cols == 0)
        return "it does not name its columns";
    if (values == NULL || values->n_values_lists == 0 || tree->with_clause != NULL ||
        tree->on_conflict_clause != NULL || tree->override != PG_QUERY__OVERRIDING_KIND__OVERRIDING_NOT_SET)
        return "it has more than VALUES";
    for (size_t i = 0; i < values->n_values_lists; i++) {
        const PgQuery__List *list = values->values_lists[i]->list;
        struct history_row *row = change_add_row(c);

        if (list->n_items != tree->n_cols)
            return "it does not have a value for each column";
        for (size_t k = 0; k < list->n_items; k++)
            if (tree->cols[k]->res_target->n_indirection > 0 ||
                !read_value(list->items[k], row_add(row, tree->cols[k]->res_target->name)))
                return "it has values that are no constants";
    }
    return NULL;
}

/* The row has to be found again by what the UPDATE makes of it, and needs its former values. */
static bool
has_former_values(const struct history_change *c)
{
    for (int i = 0; i < c->rows[0].count; i++) {
        bool found = false;

        for (int k = 0; k < c->where.count; k++)
            found = found || strcmp(c->rows[0].items[i].column, c->where.items[k].column) == 0;
        if (!found)
            return false;
    }
    return true;
}

static const char *
parse_update(struct history_change *c, const PgQuery__UpdateStmt *tree)
{
    struct history_row *set = change_add_row(c);

    if (tree->n_from_clause > 0 || tree->with_clause != NULL)
        return "it reads other tables";
    for (size_t i = 0; i < tree->n_target_list; i++) {
        const PgQuery__ResTarget *target = tree->target_list[i]->res_target;

        if (target->n_indirection > 0 || target->val == NULL ||
            !read_value(target->val, row_add(set, target->name)))
            return "it has values that are no constants";
    }
    if (!read_where(tree->where_clause, &c->where) || where_is_vague(&c->where))
        return "its conditions are not all of the form column = constant";
    return has_former_values(c) ? NULL : "its conditions do not say which values it replaces";
}

static const char *
parse_delete(struct history_change *c, const PgQuery__DeleteStmt *tree)
{
    if (tree->n_using_clause > 0 || tree->with_clause != NULL)
        return "it reads other tables";
    if (!read_where(tree->where_clause, &c->where) || where_is_vague(&c->where))
        return "its conditions are not all of the form column = constant";
    return NULL;
}

static const PgQuery__RangeVar *
relation_of(const PgQuery__Node *tree)
{
    return tree->node_case == PG_QUERY__NODE__NODE_INSERT_STMT   ? tree->insert_stmt->relation
           : tree->node_case == PG_QUERY__NODE__NODE_UPDATE_STMT ? tree->update_stmt->relation
                                                                 : tree->delete_stmt->relation;
}

bool
history_parse(struct parse *p, struct statement_list *list, const PgQuery__Node *tree,
              const struct span *span)
{
    const PgQuery__RangeVar *relation = relation_of(tree);
    struct history_list *history = &list->history;
    struct history_change *c;
    const char *reason;

    history->items = mem_array(history->items, (size_t)history->count + 1, sizeof(*history->items));
    c = &history->items[history->count++];
    *c = (struct history_change){.text = token_typed(&p->tokens, span->start, span->end),
                                 .table = typed_name_make(relation->schemaname, relation->relname)};
    if (tree->node_case == PG_QUERY__NODE__NODE_INSERT_STMT) {
        c->kind = HISTORY_INSERT;
        reason = parse_insert(c, tree->insert_stmt);
    } else if (tree->node_case == PG_QUERY__NODE__NODE_UPDATE_STMT) {
        c->kind = HISTORY_UPDATE;
        reason = parse_update(c, tree->update_stmt);
    } else {
        c->kind = HISTORY_DELETE;
        reason = parse_delete(c, tree->delete_stmt);
    }
    if (reason == NULL && relation->alias != NULL)
        reason = "it gives the table another name";
    if (reason != NULL)
        return history_refuse(p, c, reason);
    return parsing_one_database(p, relation);
}

bool
history_is_known(const struct typed_name *table)
{
    for (size_t i = 0; i < sizeof(known_tables) / sizeof(known_tables[0]); i++)
        if (strcmp(known_tables[i], table->name) == 0)
            return true;
    return false;
}

static void
row_free(struct history_row *row)
{
    for (int i = 0; i < row->count; i++) {
        free(row->items[i].column);
        free(row->items[i].sql);
    }
    free(row->items);
}

void
history_free(struct history_list *list)
{
    for (int i = 0; i < list->count; i++) {
        struct history_change *c = &list->items[i];

        for (int k = 0; k < c->row_count; k++)
            row_free(&c->rows[k]);
        row_free(&c->where);
        free(c->rows);
        free(c->text);
        typed_name_free(&c->table);
    }
    free(list->items);
    *list = (struct history_list){0};
}
