#include "parse/target_ddl.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/name.h"
#include "parse/token.h"
#include "tree.h"

#define ONLY_THESE "only CREATE TABLE, CREATE INDEX, ALTER TABLE ADD CONSTRAINT and COMMENT describe a target"

struct reading {
    struct token_text tokens;
    const char *scratch;
    const struct typed_name *table;
    struct string_list *statements;
    struct string_list *reasons;
    struct string_list partitions; /* their names */
    int tables;
};

static bool
is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* Whether the name, as it is typed, may be that of a table in the table's schema. */
static bool
is_in_schema(const struct reading *r, const PgQuery__RangeVar *relation)
{
    return (!is_set(relation->schemaname) || strcmp(relation->schemaname, r->table->schema) == 0) &&
           !is_set(relation->catalogname);
}

/* Whether the statement is about the table; if not, that is a reason. */
static bool
is_about(struct reading *r, const PgQuery__RangeVar *relation, const char *text)
{
    bool same =
        relation != NULL && strcmp(relation->relname, r->table->name) == 0 && is_in_schema(r, relation);

    if (!same)
        list_addf(r->reasons, "the target has a statement on something other than table \"%s.%s\": \"%s\"",
                  r->table->schema, r->table->name, text);
    return same;
}

static void
refuse_part(struct reading *r, bool has, const char *what)
{
    if (has)
        list_addf(r->reasons, "the target has %s, which cannot be made of a table yet", what);
}

static bool
has_foreign_key(const PgQuery__CreateStmt *tree)
{
    if (tree_has_constraint(tree->table_elts, tree->n_table_elts, PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN))
        return true;
    for (size_t i = 0; i < tree->n_table_elts; i++)
        if (tree->table_elts[i]->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF &&
            tree_has_constraint(tree->table_elts[i]->column_def->constraints,
                                tree->table_elts[i]->column_def->n_constraints,
                                PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN))
            return true;
    return false;
}

static bool
has_like(const PgQuery__CreateStmt *tree)
{
    for (size_t i = 0; i < tree->n_table_elts; i++)
        if (tree->table_elts[i]->node_case == PG_QUERY__NODE__NODE_TABLE_LIKE_CLAUSE)
            return true;
    return false;
}

static void
refuse_foreign_key(struct reading *r, bool has)
{
    if (has)
        list_addf(r->reasons, "the target has a foreign key: leave foreign keys out, they are carried over");
}

/* The name becomes one in the scratch schema. The caller frees it, after the statement is rendered. */
static char *
redirect(struct reading *r, const PgQuery__RangeVar *relation)
{
    int first = token_at(&r->tokens, relation->location);
    char *name = name_qualified(r->scratch, relation->relname);

    token_edit(&r->tokens, r->tokens.tokens[first].start,
               r->tokens.tokens[token_after_name(&r->tokens, first) - 1].end, name);
    return name;
}

/* A partition of the table, or of a partition that was read before. */
static void
read_partition(struct reading *r, const PgQuery__CreateStmt *tree, int start, int end, const char *text)
{
    const PgQuery__RangeVar *parent = tree->inh_relations[0]->range_var;
    char *self, *of;

    if (!list_has(&r->partitions, parent->relname) && !is_about(r, parent, text))
        return;
    if (!is_in_schema(r, parent) || !is_in_schema(r, tree->relation)) {
        list_addf(r->reasons, "the target has a partition in another schema than table \"%s.%s\": \"%s\"",
                  r->table->schema, r->table->name, text);
        return;
    }
    refuse_part(r, tree->n_table_elts > 0, "a partition with columns or constraints of its own");
    refuse_part(r, tree->if_not_exists, "IF NOT EXISTS");
    refuse_part(r, strcmp(tree->relation->relpersistence, "p") != 0, "an UNLOGGED or TEMPORARY partition");
    refuse_part(r, is_set(tree->tablespacename), "a partition with TABLESPACE");
    refuse_part(r, is_set(tree->access_method), "a partition with USING");
    refuse_part(r, tree->n_options > 0, "a partition with WITH");
    self = redirect(r, tree->relation);
    of = redirect(r, parent);
    list_add(&r->partitions, mem_strdup(tree->relation->relname));
    list_add(r->statements, token_render(&r->tokens, start, end));
    free(of);
    free(self);
}

static void
read_create(struct reading *r, const PgQuery__CreateStmt *tree, int start, int end, const char *text)
{
    char *self;

    if (tree->partbound != NULL) {
        read_partition(r, tree, start, end, text);
        return;
    }
    if (!is_about(r, tree->relation, text))
        return;
    refuse_part(r, tree->n_inh_relations > 0, "INHERITS");
    refuse_part(r, tree->of_typename != NULL, "OF a type");
    refuse_part(r, has_like(tree), "LIKE");
    refuse_part(r, tree->if_not_exists, "IF NOT EXISTS");
    refuse_part(r, strcmp(tree->relation->relpersistence, "p") != 0, "UNLOGGED or TEMPORARY");
    refuse_part(r, is_set(tree->tablespacename), "TABLESPACE");
    refuse_part(r, is_set(tree->access_method), "USING");
    refuse_part(r, tree->n_options > 0, "WITH");
    refuse_foreign_key(r, has_foreign_key(tree));
    r->tables++;
    self = redirect(r, tree->relation);
    list_add(r->statements, token_render(&r->tokens, start, end));
    free(self);
}

static bool
adds_constraints_only(struct reading *r, const PgQuery__AlterTableStmt *tree)
{
    bool only = tree->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_TABLE;

    for (size_t i = 0; only && i < tree->n_cmds; i++) {
        const PgQuery__AlterTableCmd *cmd = tree->cmds[i]->alter_table_cmd;

        only = cmd->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_AddConstraint;
        refuse_foreign_key(r, only && tree_has_constraint(&cmd->def, cmd->def != NULL,
                                                          PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN));
    }
    return only;
}

/* A statement that may also be given as a change: it is redirected as such. */
static void
read_other(struct reading *r, const char *text)
{
    struct statement_list list = {0};
    struct error err = {0};

    if (!statements_parse(text, r->scratch, &list, &err))
        list_addf(r->reasons, "%s", err.message);
    for (int i = 0; i < list.count; i++)
        list_add(r->statements, mem_strdup(list.items[i].sql));
    statements_free(&list);
    error_clear(&err);
}

static bool
comment_is_about(struct reading *r, const char *text)
{
    struct statement_list list = {0};
    struct error err = {0};
    bool same = true;

    if (statements_parse(text, r->scratch, &list, &err) && list.items[0].table.name != NULL)
        same =
            strcmp(list.items[0].table.name, r->table->name) == 0 &&
            (list.items[0].table.schema == NULL || strcmp(list.items[0].table.schema, r->table->schema) == 0);
    if (!same)
        list_addf(r->reasons, "the target has a statement on something other than table \"%s.%s\": \"%s\"",
                  r->table->schema, r->table->name, text);
    statements_free(&list);
    error_clear(&err);
    return same;
}

static void
read_statement(struct reading *r, const PgQuery__RawStmt *raw)
{
    const PgQuery__Node *tree = raw->stmt;
    int start = r->tokens.tokens[token_at(&r->tokens, raw->stmt_location)].start;
    int end = raw->stmt_len > 0 ? raw->stmt_location + raw->stmt_len : (int)strlen(r->tokens.sql);
    char *text = token_typed(&r->tokens, start, end);

    switch (tree->node_case) {
    case PG_QUERY__NODE__NODE_CREATE_STMT:
        read_create(r, tree->create_stmt, start, end, text);
        break;
    case PG_QUERY__NODE__NODE_INDEX_STMT:
        refuse_part(r, is_set(tree->index_stmt->table_space), "an index with TABLESPACE");
        refuse_part(r, tree->index_stmt->if_not_exists, "IF NOT EXISTS");
        if (is_about(r, tree->index_stmt->relation, text))
            read_other(r, text);
        break;
    case PG_QUERY__NODE__NODE_COMMENT_STMT:
        if (comment_is_about(r, text))
            read_other(r, text);
        break;
    case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT:
        if (adds_constraints_only(r, tree->alter_table_stmt)) {
            if (is_about(r, tree->alter_table_stmt->relation, text))
                read_other(r, text);
            break;
        }
        /* fall through */
    default:
        list_addf(r->reasons, ONLY_THESE ": \"%s\"", text);
    }
    free(text);
}

bool
target_ddl_parse(const char *sql, const char *scratch, const struct typed_name *table,
                 struct string_list *statements, struct string_list *reasons, struct error *err)
{
    struct reading r = {.scratch = scratch, .table = table, .statements = statements, .reasons = reasons};
    PgQuery__ParseResult *tree = tree_parse(sql, err);
    bool ok = tree != NULL && tokens_scan(&r.tokens, sql, err);

    for (size_t i = 0; ok && i < tree->n_stmts; i++)
        read_statement(&r, tree->stmts[i]);
    if (ok && r.tables != 1 && reasons->count == 0)
        list_addf(reasons, "the target has %s CREATE TABLE of table \"%s.%s\"",
                  r.tables == 0 ? "no" : "more than one", table->schema, table->name);
    tokens_free(&r.tokens);
    list_free(&r.partitions);
    if (tree != NULL)
        pg_query__parse_result__free_unpacked(tree, NULL);
    return ok;
}
