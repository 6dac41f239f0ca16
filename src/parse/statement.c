#include "parse/statement.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "parse/token.h"
#include "backfill.h"
#include "clause.h"
#include "framing.h"
#include "history.h"
#include "parsing.h"

#define ONLY_THESE                                                                                           \
    "only ALTER TABLE, CREATE INDEX, ALTER INDEX, DROP INDEX, ALTER SEQUENCE and COMMENT can be done"

struct typed_name
typed_name_make(const char *schema, const char *name)
{
    return (struct typed_name){.schema = schema == NULL || schema[0] == '\0' ? NULL : mem_strdup(schema),
                               .name = mem_strdup(name)};
}

void
typed_name_free(struct typed_name *name)
{
    free(name->catalog);
    free(name->schema);
    free(name->name);
    *name = (struct typed_name){0};
}

/* Replace a table's name by that of a table in the clone's schema. Returns the first token after the name. */
static int
redirect_to(struct parse *p, const PgQuery__RangeVar *relation, const char *name)
{
    int first = token_at(&p->tokens, relation->location);
    int after = token_after_name(&p->tokens, first);
    char *clone = name_qualified(p->clone_schema, name);

    token_edit(&p->tokens, p->tokens.tokens[first].start, p->tokens.tokens[after - 1].end, clone);
    list_add(&p->replacements, clone);
    return after;
}

int
parsing_redirect(struct parse *p, const PgQuery__RangeVar *relation)
{
    return redirect_to(p, relation, relation->relname);
}

struct reference_scope {
    struct parse *parse;
    const char *table;
};

/*
 * "schema.table.column" of the table itself: the clone is in another schema, so this becomes "table.column",
 * which is right for both.
 */
static void
redirect_reference(void *arg, const PgQuery__ColumnRef *ref)
{
    struct reference_scope *scope = arg;
    struct token_text *tokens = &scope->parse->tokens;
    size_t table = ref->n_fields - 2;
    int first;

    if (ref->n_fields < 3 || tree_string(ref->fields[table]) == NULL ||
        strcmp(tree_string(ref->fields[table]), scope->table) != 0)
        return;
    first = token_at(tokens, ref->location);
    token_edit(tokens, tokens->tokens[first].start, tokens->tokens[first + 2 * (int)table].start, "");
}

void
parsing_redirect_references(struct parse *p, const ProtobufCMessage *tree, const char *table)
{
    struct reference_scope scope = {p, table};

    tree_column_refs(tree, redirect_reference, &scope);
}

struct statement *
parsing_statement(struct statement_list *list, enum statement_kind kind, const struct parse *p,
                  const struct span *span)
{
    struct statement *s;

    list->items = mem_array(list->items, (size_t)list->count + 1, sizeof(*list->items));
    s = &list->items[list->count++];
    *s = (struct statement){.kind = kind, .text = token_typed(&p->tokens, span->start, span->end)};
    return s;
}

struct clause *
parsing_clause(struct statement *s, char *text, char *sql)
{
    s->clauses = mem_array(s->clauses, (size_t)s->clause_count + 1, sizeof(*s->clauses));
    s->clauses[s->clause_count] = (struct clause){.text = text, .sql = sql, .lock = LOCK_ACCESS_EXCLUSIVE};
    return &s->clauses[s->clause_count++];
}

/* A statement that is one clause: the clause has the text of the statement. */
static struct clause *
clause_whole(struct statement *s)
{
    return parsing_clause(s, mem_strdup(s->text), mem_strdup(s->sql));
}

static void
index_add(struct statement *s, const char *schema, const char *name)
{
    s->indexes = mem_array(s->indexes, (size_t)s->index_count + 1, sizeof(*s->indexes));
    s->indexes[s->index_count++] = typed_name_make(schema, name);
}

bool
parsing_one_database(struct parse *p, const PgQuery__RangeVar *relation)
{
    if (relation->catalogname == NULL || relation->catalogname[0] == '\0')
        return true;
    return error_set(p->err, ERROR_USAGE, "a name with a database in it: \"%s.%s.%s\"", relation->catalogname,
                     relation->schemaname, relation->relname);
}

static bool
is_typed_like(const PgQuery__RangeVar *a, const PgQuery__RangeVar *b)
{
    const char *of_a = a->schemaname != NULL ? a->schemaname : "";
    const char *of_b = b->schemaname != NULL ? b->schemaname : "";

    return strcmp(of_a, of_b) == 0 && strcmp(a->relname, b->relname) == 0;
}

/* The table that a new foreign key refers to, if the constraint is one. */
static bool
redirect_constraint(struct parse *p, struct statement_list *list, const PgQuery__RangeVar *table,
                    const PgQuery__Constraint *constraint)
{
    const PgQuery__RangeVar *other = constraint->pktable;
    char *name;

    if (constraint->contype != PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN || other == NULL)
        return true;
    if (is_typed_like(table, other)) {
        parsing_redirect(p, other);
        return parsing_one_database(p, other);
    }
    if (list->referenced_count > 9999)
        return error_set(p->err, ERROR_USAGE, "too many foreign keys");
    list->referenced =
        mem_array(list->referenced, (size_t)list->referenced_count + 1, sizeof(*list->referenced));
    list->referenced[list->referenced_count] = typed_name_make(other->schemaname, other->relname);
    name = mem_printf(REFERENCED_TABLE "%04d", list->referenced_count++);
    redirect_to(p, other, name);
    free(name);
    return parsing_one_database(p, other);
}

static bool
redirect_referenced(struct parse *p, struct statement_list *list, const PgQuery__AlterTableStmt *tree)
{
    bool ok = true;

    for (size_t i = 0; ok && i < tree->n_cmds; i++) {
        const PgQuery__Node *def = tree->cmds[i]->alter_table_cmd->def;

        if (def == NULL)
            continue;
        if (def->node_case == PG_QUERY__NODE__NODE_CONSTRAINT)
            ok = redirect_constraint(p, list, tree->relation, def->constraint);
        if (def->node_case != PG_QUERY__NODE__NODE_COLUMN_DEF)
            continue;
        for (size_t k = 0; ok && k < def->column_def->n_constraints; k++)
            if (def->column_def->constraints[k]->node_case == PG_QUERY__NODE__NODE_CONSTRAINT)
                ok =
                    redirect_constraint(p, list, tree->relation, def->column_def->constraints[k]->constraint);
    }
    return ok;
}

/* The tokens from the first clause on, split at the commas between clauses. */
static bool
parse_clauses(struct parse *p, struct statement *s, const PgQuery__AlterTableStmt *tree, int first,
              const struct span *span)
{
    const struct token_text *tokens = &p->tokens;
    char *clone = name_qualified(p->clone_schema, tree->relation->relname);
    bool ok = true;

    for (size_t i = 0; ok && i < tree->n_cmds; i++) {
        const PgQuery__AlterTableCmd *cmd = tree->cmds[i]->alter_table_cmd;
        int comma = token_find_outside(tokens, first, span->last, ',');
        int start = tokens->tokens[first].start;
        int end = tokens->tokens[comma - 1].end;
        char *body = token_render(tokens, start, end);
        struct clause *clause =
            parsing_clause(s, token_typed(tokens, start, end), mem_printf("ALTER TABLE %s %s", clone, body));

        free(body);
        clause_describe(clause, cmd, tree->relation->relname);
        if (cmd->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_AddColumn)
            backfill_note_column(p, cmd->def->column_def, comma, clause);
        if (clause->has_using) {
            int using = token_find_outside(tokens, first, comma, PG_QUERY__TOKEN__USING);

            clause->using_expr = token_render(tokens, tokens->tokens[using].end, end);
        }
        ok = clause_allowed(cmd, clause->text, p->err);
        first = comma + 1;
    }
    if (ok && first < span->last)
        ok = error_set(p->err, ERROR_FAILED, "cannot tell the clauses of \"%s\" apart", s->text);
    free(clone);
    return ok;
}

static bool
parse_alter(struct parse *p, struct statement_list *list, const PgQuery__AlterTableStmt *tree,
            const struct span *span)
{
    struct statement *s;
    struct clause *clause;
    int after;

    if (tree->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_INDEX) {
        parsing_redirect(p, tree->relation);
        s = parsing_statement(list, STATEMENT_INDEX, p, span);
        s->missing_ok = tree->missing_ok;
        s->sql = token_render(&p->tokens, span->start, span->end);
        index_add(s, tree->relation->schemaname, tree->relation->relname);
        clause = clause_whole(s);
        clause->on_index = true;
        clause->sets_tablespace = tree->n_cmds == 1 && tree->cmds[0]->alter_table_cmd->subtype ==
                                                           PG_QUERY__ALTER_TABLE_TYPE__AT_SetTableSpace;
        clause->lock = clause->sets_tablespace ? LOCK_ACCESS_EXCLUSIVE : LOCK_SHARE_UPDATE_EXCLUSIVE;
        return parsing_one_database(p, tree->relation);
    }
    s = parsing_statement(list, STATEMENT_ALTER_TABLE, p, span);
    s->missing_ok = tree->missing_ok;
    if (tree->objtype != PG_QUERY__OBJECT_TYPE__OBJECT_TABLE)
        return error_set(p->err, ERROR_USAGE, "not a statement on a table: \"%s\"", s->text);
    s->table = typed_name_make(tree->relation->schemaname, tree->relation->relname);
    after = parsing_redirect(p, tree->relation);
    if (token_is(&p->tokens, after, '*'))
        after++;
    parsing_redirect_references(p, &tree->base, tree->relation->relname);
    if (!redirect_referenced(p, list, tree))
        return false;
    s->sql = token_render(&p->tokens, span->start, span->end);
    return parsing_one_database(p, tree->relation) && parse_clauses(p, s, tree, after, span);
}

static bool
parse_rename(struct parse *p, struct statement_list *list, const PgQuery__RenameStmt *tree,
             const struct span *span)
{
    bool index = tree->rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_INDEX;
    struct statement *s = parsing_statement(list, index ? STATEMENT_INDEX : STATEMENT_RENAME, p, span);
    struct clause *clause;

    s->missing_ok = tree->missing_ok;
    if (!index && tree->rename_type != PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN &&
        tree->rename_type != PG_QUERY__OBJECT_TYPE__OBJECT_TABCONSTRAINT) {
        if (tree->rename_type != PG_QUERY__OBJECT_TYPE__OBJECT_TABLE)
            return error_set(p->err, ERROR_USAGE, "not a statement on a table: \"%s\"", s->text);
        error_set(p->err, ERROR_REFUSED, "cannot do \"%s\": renaming the table is not part of a rewrite",
                  s->text);
        return error_hint(p->err, "Run it plainly, before or after: it changes the catalog only.");
    }
    if (!index && tree->relation_type != PG_QUERY__OBJECT_TYPE__OBJECT_TABLE &&
        tree->rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN)
        return error_set(p->err, ERROR_USAGE, "not a statement on a table: \"%s\"", s->text);
    parsing_redirect(p, tree->relation);
    s->sql = token_render(&p->tokens, span->start, span->end);
    if (index)
        index_add(s, tree->relation->schemaname, tree->relation->relname);
    else
        s->table = typed_name_make(tree->relation->schemaname, tree->relation->relname);
    clause = clause_whole(s);
    clause->on_index = index;
    clause->lock = index ? LOCK_SHARE_UPDATE_EXCLUSIVE : LOCK_ACCESS_EXCLUSIVE;
    return parsing_one_database(p, tree->relation);
}

static bool
parse_create_index(struct parse *p, struct statement_list *list, const PgQuery__IndexStmt *tree,
                   const struct span *span)
{
    struct statement *s = parsing_statement(list, STATEMENT_CREATE_INDEX, p, span);
    struct clause *clause;

    s->table = typed_name_make(tree->relation->schemaname, tree->relation->relname);
    parsing_redirect(p, tree->relation);
    parsing_redirect_references(p, &tree->base, tree->relation->relname);
    if (tree->concurrent) {
        int at = token_find_outside(&p->tokens, span->first, span->last, PG_QUERY__TOKEN__CONCURRENTLY);

        token_edit(&p->tokens, p->tokens.tokens[at].start, p->tokens.tokens[at].end, "");
    }
    s->sql = token_render(&p->tokens, span->start, span->end);
    clause = clause_whole(s);
    clause->concurrent = tree->concurrent;
    clause->lock = tree->concurrent ? LOCK_SHARE_UPDATE_EXCLUSIVE : LOCK_SHARE;
    return parsing_one_database(p, tree->relation);
}

/* ALTER SEQUENCE may change the type only: its other properties do not belong to a rewrite. */
static bool
parse_alter_sequence(struct parse *p, struct statement_list *list, const PgQuery__AlterSeqStmt *tree,
                     const struct span *span)
{
    struct statement *s = parsing_statement(list, STATEMENT_SEQUENCE, p, span);

    s->missing_ok = tree->missing_ok;
    for (size_t i = 0; i < tree->n_options; i++) {
        const PgQuery__Node *option = tree->options[i];

        if (option->node_case == PG_QUERY__NODE__NODE_DEF_ELEM &&
            strcmp(option->def_elem->defname, "as") == 0)
            continue;
        error_set(p->err, ERROR_REFUSED, "cannot do \"%s\": of a sequence only the type is part of a rewrite",
                  s->text);
        return error_hint(p->err,
                          "Write ALTER SEQUENCE name AS type, and run the rest plainly, before or after.");
    }
    parsing_redirect(p, tree->sequence);
    s->sql = token_render(&p->tokens, span->start, span->end);
    index_add(s, tree->sequence->schemaname, tree->sequence->relname);
    clause_whole(s)->lock = LOCK_SHARE_ROW_EXCLUSIVE; /* on the sequence: nextval waits */
    return parsing_one_database(p, tree->sequence);
}

/* "name" or "schema.name" as a list of strings; false for anything else. */
static bool
names_of(const PgQuery__Node *node, const char **schema, const char **name)
{
    if (node == NULL || node->node_case != PG_QUERY__NODE__NODE_LIST || node->list->n_items < 1 ||
        node->list->n_items > 2)
        return false;
    *schema = node->list->n_items == 2 ? tree_string(node->list->items[0]) : NULL;
    *name = tree_string(node->list->items[node->list->n_items - 1]);
    return *name != NULL;
}

static bool
parse_drop(struct parse *p, struct statement_list *list, const PgQuery__DropStmt *tree,
           const struct span *span)
{
    struct statement *s = parsing_statement(list, STATEMENT_INDEX, p, span);
    struct clause *clause;
    struct buffer sql = {0};

    s->missing_ok = tree->missing_ok;
    if (tree->remove_type != PG_QUERY__OBJECT_TYPE__OBJECT_INDEX)
        return error_set(p->err, ERROR_USAGE, ONLY_THESE ": \"%s\"", s->text);
    buffer_printf(&sql, "DROP INDEX %s", tree->missing_ok ? "IF EXISTS " : "");
    for (size_t i = 0; i < tree->n_objects; i++) {
        const char *schema = NULL;
        const char *name = NULL;

        if (!names_of(tree->objects[i], &schema, &name)) {
            buffer_free(&sql);
            return error_set(p->err, ERROR_USAGE, "cannot read the names in \"%s\"", s->text);
        }
        index_add(s, schema, name);
        buffer_add_text(&sql, i > 0 ? ", " : "");
        buffer_add_identifier(&sql, p->clone_schema);
        buffer_add_char(&sql, '.');
        buffer_add_identifier(&sql, name);
    }
    if (tree->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE)
        buffer_add_text(&sql, " CASCADE");
    s->sql = buffer_take(&sql);
    clause = clause_whole(s);
    clause->concurrent = tree->concurrent;
    clause->lock = tree->concurrent ? LOCK_SHARE_UPDATE_EXCLUSIVE : LOCK_ACCESS_EXCLUSIVE;
    return true;
}

/* What a COMMENT is on: the kind as a word, and the names from the schema on. */
struct commented {
    const char *kind; /* NULL: something else */
    bool sub;         /* a column or constraint of a table */
    const char *schema;
    const char *relation;
    const char *name; /* of the column or constraint */
};

static struct commented
commented_by(const PgQuery__CommentStmt *tree)
{
    struct commented on = {0};
    const PgQuery__List *names = NULL;

    switch (tree->objtype) {
    case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE:
        on.kind = "TABLE";
        break;
    case PG_QUERY__OBJECT_TYPE__OBJECT_INDEX:
        on.kind = "INDEX";
        break;
    case PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN:
        on.kind = "COLUMN";
        on.sub = true;
        break;
    case PG_QUERY__OBJECT_TYPE__OBJECT_TABCONSTRAINT:
        on.kind = "CONSTRAINT";
        on.sub = true;
        break;
    default:
        return on;
    }
    if (tree->object != NULL && tree->object->node_case == PG_QUERY__NODE__NODE_LIST)
        names = tree->object->list;
    if (names != NULL && names->n_items >= (on.sub ? 2u : 1u) && names->n_items <= (on.sub ? 3u : 2u)) {
        size_t relation = names->n_items - (on.sub ? 2 : 1);

        on.schema = relation > 0 ? tree_string(names->items[0]) : NULL;
        on.relation = tree_string(names->items[relation]);
        on.name = on.sub ? tree_string(names->items[relation + 1]) : NULL;
    }
    return on;
}

static bool
parse_comment(struct parse *p, struct statement_list *list, const PgQuery__CommentStmt *tree,
              const struct span *span)
{
    struct statement *s = parsing_statement(list, STATEMENT_COMMENT, p, span);
    struct commented on = commented_by(tree);
    struct buffer sql = {0};
    char *clone;

    if (on.kind == NULL)
        return error_set(p->err, ERROR_USAGE,
                         "not a comment on a table, its columns, constraints or indexes: \"%s\"", s->text);
    if (on.relation == NULL || (on.sub && on.name == NULL))
        return error_set(p->err, ERROR_USAGE, "cannot read the names in \"%s\"", s->text);
    if (tree->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_INDEX)
        index_add(s, on.schema, on.relation);
    else
        s->table = typed_name_make(on.schema, on.relation);
    clone = name_qualified(p->clone_schema, on.relation);
    buffer_printf(&sql, "COMMENT ON %s ", on.kind);
    if (tree->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_TABCONSTRAINT) {
        buffer_add_identifier(&sql, on.name);
        buffer_printf(&sql, " ON %s", clone);
    } else {
        buffer_add_text(&sql, clone);
    }
    if (tree->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN) {
        buffer_add_char(&sql, '.');
        buffer_add_identifier(&sql, on.name);
    }
    buffer_add_text(&sql, " IS ");
    if (tree->comment == NULL || tree->comment[0] == '\0')
        buffer_add_text(&sql, "NULL");
    else
        buffer_add_literal(&sql, tree->comment);
    free(clone);
    s->sql = buffer_take(&sql);
    clause_whole(s)->lock = LOCK_SHARE_UPDATE_EXCLUSIVE;
    return true;
}

static struct span
statement_span(const struct token_text *tokens, const PgQuery__RawStmt *raw)
{
    struct span span = {.start = raw->stmt_location};

    span.end = raw->stmt_len > 0 ? span.start + raw->stmt_len : (int)strlen(tokens->sql);
    span.first = token_at(tokens, span.start);
    span.last = token_at(tokens, span.end);
    if (span.last > span.first && token_is(tokens, span.last - 1, ';'))
        span.last--;
    if (span.last > span.first) { /* without comments and surrounding space */
        span.start = tokens->tokens[span.first].start;
        span.end = tokens->tokens[span.last - 1].end;
    }
    return span;
}

/* All names are resolved under one search_path, so it is set before the first of them. */
static bool
take_path(struct parse *p, struct statement_list *list, char *path, const char *text)
{
    bool same = list->search_path != NULL && strcmp(list->search_path, path) == 0;

    if (list->count > 0 && !same) {
        free(path);
        error_set(p->err, ERROR_USAGE, "cannot do \"%s\": the search_path changes between the statements",
                  text);
        return error_hint(p->err,
                          "Set it before the first statement, or write the names with their schemas.");
    }
    free(list->search_path);
    list->search_path = path;
    return true;
}

/* *done: the statement was one of those around the changes of tables. */
static bool
parse_framing(struct parse *p, struct statement_list *list, const PgQuery__Node *tree,
              const struct span *span, bool *done)
{
    char *text = token_typed(&p->tokens, span->start, span->end);
    char *path = NULL;
    enum framing framing = framing_read(tree, text, &path, p->err);
    bool ok = framing != FRAMING_REFUSED && (path == NULL || take_path(p, list, path, text));

    *done = framing == FRAMING_IGNORED || framing == FRAMING_PATH;
    if (ok && framing == FRAMING_IGNORED)
        list_add(&list->ignored, text);
    else
        free(text);
    return ok;
}

/* An UPDATE of a table that the statements before it do not change, of some rows. */
static bool
is_of_history(const struct statement_list *list, const PgQuery__UpdateStmt *tree)
{
    for (int i = 0; i < list->count; i++)
        if (name_same(list->items[i].table.name, tree->relation->relname))
            return false;
    return tree->where_clause != NULL;
}

static bool
parse_statement(struct parse *p, struct statement_list *list, const PgQuery__Node *tree, struct span span)
{
    const struct token_text *tokens = &p->tokens;
    bool done;
    char *text;

    if (!parse_framing(p, list, tree, &span, &done))
        return false;
    if (done)
        return true;
    switch (tree->node_case) {
    case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT:
        return parse_alter(p, list, tree->alter_table_stmt, &span);
    case PG_QUERY__NODE__NODE_RENAME_STMT:
        if (tree->rename_stmt->relation != NULL)
            return parse_rename(p, list, tree->rename_stmt, &span);
        break;
    case PG_QUERY__NODE__NODE_INDEX_STMT:
        return parse_create_index(p, list, tree->index_stmt, &span);
    case PG_QUERY__NODE__NODE_ALTER_SEQ_STMT:
        return parse_alter_sequence(p, list, tree->alter_seq_stmt, &span);
    case PG_QUERY__NODE__NODE_DROP_STMT:
        return parse_drop(p, list, tree->drop_stmt, &span);
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
        if (!is_of_history(list, tree->update_stmt))
            return backfill_parse(p, list, tree->update_stmt, &span);
        return history_parse(p, list, tree, &span);
    case PG_QUERY__NODE__NODE_INSERT_STMT:
    case PG_QUERY__NODE__NODE_DELETE_STMT:
        return history_parse(p, list, tree, &span);
    case PG_QUERY__NODE__NODE_COMMENT_STMT:
        return parse_comment(p, list, tree->comment_stmt, &span);
    default:
        break;
    }
    text = token_typed(tokens, span.start, span.end);
    if (tree->node_case == PG_QUERY__NODE__NODE_ALTER_OBJECT_SCHEMA_STMT) {
        error_set(p->err, ERROR_REFUSED,
                  "cannot do \"%s\": moving to another schema is not part of a rewrite", text);
        error_hint(p->err, "Run it plainly, before or after: it changes the catalog only.");
    } else {
        error_set(p->err, ERROR_USAGE, ONLY_THESE ": \"%s\"", text);
    }
    free(text);
    return false;
}

static bool
parse_all(struct parse *p, struct statement_list *list, const PgQuery__ParseResult *tree)
{
    bool ok = true;

    for (size_t i = 0; ok && i < tree->n_stmts; i++) {
        struct span span = statement_span(&p->tokens, tree->stmts[i]);

        ok = parse_statement(p, list, tree->stmts[i]->stmt, span);
        if (!ok && tree->n_stmts > 1 && p->err->detail == NULL)
            tree_point(p->tokens.sql, span.start, p->err);
    }
    if (ok && list->count == 0)
        ok = error_set(p->err, ERROR_USAGE, "there is no statement on a table in the SQL");
    return ok;
}

bool
statements_parse(const char *sql, const char *clone_schema, struct statement_list *list, struct error *err)
{
    struct parse p = {.clone_schema = clone_schema, .err = err};
    char *text = framing_without_psql(sql, err);
    PgQuery__ParseResult *tree = text != NULL ? tree_parse(text, err) : NULL;
    bool ok = tree != NULL && tokens_scan(&p.tokens, text, err);

    *list = (struct statement_list){0};
    if (ok && tree->n_stmts == 0)
        ok = error_set(err, ERROR_USAGE, "there is no statement in the SQL");
    ok = ok && parse_all(&p, list, tree);
    tokens_free(&p.tokens);
    list_free(&p.replacements);
    if (tree != NULL)
        pg_query__parse_result__free_unpacked(tree, NULL);
    free(text);
    if (!ok)
        statements_free(list);
    return ok;
}

bool
typed_name_parse(const char *text, struct typed_name *name, struct error *err)
{
    char *sql = mem_printf("TABLE %s", text);
    PgQuery__ParseResult *tree = tree_parse(sql, err);
    const PgQuery__SelectStmt *select;
    const PgQuery__RangeVar *relation = NULL;

    if (tree != NULL && tree->n_stmts == 1 &&
        tree->stmts[0]->stmt->node_case == PG_QUERY__NODE__NODE_SELECT_STMT) {
        select = tree->stmts[0]->stmt->select_stmt;
        if (select->n_from_clause == 1 &&
            select->from_clause[0]->node_case == PG_QUERY__NODE__NODE_RANGE_VAR &&
            select->n_sort_clause == 0 && select->where_clause == NULL && select->limit_count == NULL)
            relation = select->from_clause[0]->range_var;
    }
    if (relation != NULL) {
        *name = typed_name_make(relation->schemaname, relation->relname);
        if (relation->catalogname != NULL && relation->catalogname[0] != '\0')
            name->catalog = mem_strdup(relation->catalogname);
    } else {
        error_set(err, ERROR_USAGE, "not the name of a table: %s", text);
    }
    if (tree != NULL)
        pg_query__parse_result__free_unpacked(tree, NULL);
    free(sql);
    return relation != NULL;
}

void
statements_free(struct statement_list *list)
{
    for (int i = 0; i < list->count; i++) {
        struct statement *s = &list->items[i];

        for (int k = 0; k < s->clause_count; k++) {
            free(s->clauses[k].text);
            free(s->clauses[k].sql);
            free(s->clauses[k].column);
            free(s->clauses[k].dropped_constraint);
            free(s->clauses[k].added_column);
            free(s->clauses[k].added_type);
            free(s->clauses[k].using_expr);
            free(s->clauses[k].using_zone);
            list_free(&s->clauses[k].using_columns);
        }
        for (int k = 0; k < s->index_count; k++)
            typed_name_free(&s->indexes[k]);
        free(s->clauses);
        free(s->indexes);
        typed_name_free(&s->table);
        free(s->text);
        free(s->sql);
    }
    for (int i = 0; i < list->referenced_count; i++)
        typed_name_free(&list->referenced[i]);
    free(list->referenced);
    history_free(&list->history);
    free(list->items);
    list_free(&list->ignored);
    free(list->search_path);
    *list = (struct statement_list){0};
}
