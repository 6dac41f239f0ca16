#include "parse/partition_by.h"

#include <stdlib.h>
#include <strings.h>

#include "core/mem.h"
#include "parse/token.h"
#include "tree.h"

#define SHORT_FORM "--partition-by takes one column and a range: 'range (created_at)'"

/* CREATE TABLE with nothing but the clause. */
static const PgQuery__PartitionSpec *
only_clause(const PgQuery__ParseResult *tree)
{
    const PgQuery__CreateStmt *create;

    if (tree->n_stmts != 1 || tree->stmts[0]->stmt->node_case != PG_QUERY__NODE__NODE_CREATE_STMT)
        return NULL;
    create = tree->stmts[0]->stmt->create_stmt;
    return create->n_options > 0 || (create->tablespacename != NULL && create->tablespacename[0] != '\0') ||
                   (create->access_method != NULL && create->access_method[0] != '\0') ||
                   create->oncommit > PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_NOOP
               ? NULL
               : create->partspec;
}

static const char *
only_column(const PgQuery__PartitionSpec *spec)
{
    const PgQuery__PartitionElem *elem;

    if (strcasecmp(spec->strategy, "range") != 0 || spec->n_part_params != 1)
        return NULL;
    elem = spec->part_params[0]->partition_elem;
    return elem->expr == NULL && elem->n_collation == 0 && elem->n_opclass == 0 ? elem->name : NULL;
}

char *
partition_by_parse(const char *text, struct error *err)
{
    char *sql = mem_printf("CREATE TABLE t () PARTITION BY %s", text);
    PgQuery__ParseResult *tree = tree_parse(sql, err);
    const PgQuery__PartitionSpec *spec = tree != NULL ? only_clause(tree) : NULL;
    const char *name = spec != NULL ? only_column(spec) : NULL;
    char *column = name != NULL ? mem_strdup(name) : NULL;

    if (column == NULL) {
        error_clear(err);
        error_set(err, ERROR_USAGE, SHORT_FORM ", not '%s'", text);
        error_hint(err, "Other partitions are described in a file, with --target.");
    }
    if (tree != NULL)
        pg_query__parse_result__free_unpacked(tree, NULL);
    free(sql);
    return column;
}

char *
definition_with_column(const char *definition, const char *column)
{
    struct token_text tokens = {0};
    struct error ignored = {0};
    char *text = NULL, *more = mem_printf(", %s", column);
    int open = 0, close;

    if (tokens_scan(&tokens, definition, &ignored)) {
        open = token_find_outside(&tokens, 0, tokens.token_count, '(');
        close = token_find_outside(&tokens, open + 1, tokens.token_count, ')');
        if (close < tokens.token_count) {
            int at = tokens.tokens[close].start;

            token_edit(&tokens, at, at, more);
            text = token_render(&tokens, 0, tokens.tokens[tokens.token_count - 1].end);
        }
    }
    tokens_free(&tokens);
    error_clear(&ignored);
    free(more);
    return text;
}
