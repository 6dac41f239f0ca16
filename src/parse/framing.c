#include "framing.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"

/* A job has limits of its own, or the setting is about messages only. */
static const char *const ignored_settings[] = {
    "lock_timeout",        "statement_timeout",   "idle_in_transaction_session_timeout",
    "transaction_timeout", "client_min_messages", "application_name",
};

static const char *const ignored_lines[] = {"\\set",    "\\unset", "\\echo", "\\qecho",
                                            "\\timing", "\\pset",  "\\x"};

static bool
is_among(const char *word, size_t length, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(words[i]) == length && strncmp(words[i], word, length) == 0)
            return true;
    return false;
}

#define IS_AMONG(word, length, words) is_among(word, length, words, sizeof(words) / sizeof((words)[0]))

/* The string that a constant is, or NULL. */
static const char *
constant_string(const PgQuery__Node *node)
{
    if (node->node_case != PG_QUERY__NODE__NODE_A_CONST ||
        node->a_const->val_case != PG_QUERY__A__CONST__VAL_SVAL)
        return NULL;
    return node->a_const->sval->sval;
}

/* SET search_path = a, "B": as a list of quoted names. NULL if it is set to something else than names. */
static char *
path_of_names(const PgQuery__VariableSetStmt *set)
{
    struct buffer path = {0};

    for (size_t i = 0; i < set->n_args; i++) {
        const char *name = constant_string(set->args[i]);

        if (name == NULL) {
            buffer_free(&path);
            return NULL;
        }
        buffer_add_text(&path, i > 0 ? ", " : "");
        buffer_add_identifier(&path, name);
    }
    return buffer_take(&path);
}

static enum framing
framing_setting(const PgQuery__VariableSetStmt *set, const char *text, char **path, struct error *err)
{
    bool value = set->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE;
    const char *name = set->name != NULL ? set->name : "";

    if (IS_AMONG(name, strlen(name), ignored_settings))
        return FRAMING_IGNORED;
    if (value && strcmp(name, "search_path") == 0 && (*path = path_of_names(set)) != NULL)
        return FRAMING_PATH;
    error_set(err, ERROR_USAGE, "cannot do \"%s\": of settings, only timeouts and the search_path are read",
              text);
    error_hint(
        err, "A job has the settings of its connection: set others there (ALTER ROLE, PGOPTIONS), and remove "
             "the statement.");
    return FRAMING_REFUSED;
}

/* SELECT [pg_catalog.]set_config('search_path', 'value', …), and nothing else in it. */
static const char *
configured_path(const PgQuery__SelectStmt *select)
{
    const PgQuery__FuncCall *call;
    const char *name;

    if (select->n_target_list != 1 || select->n_from_clause != 0 || select->where_clause != NULL ||
        select->op != PG_QUERY__SET_OPERATION__SETOP_NONE ||
        select->target_list[0]->node_case != PG_QUERY__NODE__NODE_RES_TARGET ||
        select->target_list[0]->res_target->val == NULL ||
        select->target_list[0]->res_target->val->node_case != PG_QUERY__NODE__NODE_FUNC_CALL)
        return NULL;
    call = select->target_list[0]->res_target->val->func_call;
    name = tree_string(call->funcname[call->n_funcname - 1]);
    if (name == NULL || strcmp(name, "set_config") != 0 || call->n_args != 3 ||
        (call->n_funcname == 2 && strcmp(tree_string(call->funcname[0]), "pg_catalog") != 0))
        return NULL;
    name = constant_string(call->args[0]);
    return name != NULL && strcmp(name, "search_path") == 0 ? constant_string(call->args[1]) : NULL;
}

static enum framing
framing_transaction(const PgQuery__TransactionStmt *transaction, const char *text, struct error *err)
{
    switch (transaction->kind) {
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT:
        return FRAMING_IGNORED;
    default:
        error_set(err, ERROR_USAGE, "cannot do \"%s\": of transactions, only BEGIN and COMMIT are read",
                  text);
        error_hint(err, "The statements are carried out as a whole: remove those that are not to be.");
        return FRAMING_REFUSED;
    }
}

enum framing
framing_read(const PgQuery__Node *tree, const char *text, char **path, struct error *err)
{
    const char *configured;

    switch (tree->node_case) {
    case PG_QUERY__NODE__NODE_TRANSACTION_STMT:
        return framing_transaction(tree->transaction_stmt, text, err);
    case PG_QUERY__NODE__NODE_CONSTRAINTS_SET_STMT:
        return FRAMING_IGNORED;
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
        return framing_setting(tree->variable_set_stmt, text, path, err);
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        configured = configured_path(tree->select_stmt);
        if (configured == NULL)
            return FRAMING_NONE;
        *path = mem_strdup(configured);
        return FRAMING_PATH;
    default:
        return FRAMING_NONE;
    }
}

/* Whether what stands before the place has no literal, quoted name or comment that is still open. */
static bool
is_between_tokens(const char *sql, size_t at)
{
    char *before = mem_strndup(sql, at);
    PgQueryScanResult scan = pg_query_scan(before);
    bool closed = scan.error == NULL;

    pg_query_free_scan_result(scan);
    free(before);
    return closed;
}

/* A line for psql: replaced by spaces, or refused. */
static bool
blank(char *sql, char *line, struct error *err)
{
    size_t length = strcspn(line, "\r\n");
    size_t word = strcspn(line, " \t\r\n");

    if (!IS_AMONG(line, word, ignored_lines)) {
        error_set(err, ERROR_USAGE, "cannot do \"%.*s\": a command of psql that can change the SQL",
                  (int)length, line);
        tree_point(sql, (int)(line - sql), err);
        return error_hint(
            err, "Only \\set, \\unset, \\echo, \\qecho, \\timing, \\pset and \\x are passed over. Remove the "
                 "line, or give the SQL without it.");
    }
    memset(line, ' ', length);
    return true;
}

char *
framing_without_psql(const char *sql, struct error *err)
{
    char *text = mem_strdup(sql);
    bool ok = true;

    for (char *line = text, *next; ok && line != NULL; line = next) {
        next = strchr(line, '\n');
        next = next != NULL ? next + 1 : NULL;
        line += strspn(line, " \t");
        if (*line == '\\' && is_between_tokens(text, (size_t)(line - text)))
            ok = blank(text, line, err);
    }
    if (!ok) {
        free(text);
        text = NULL;
    }
    return text;
}
