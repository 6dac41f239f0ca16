#include "clause.h"

#include <string.h>

#include "core/list.h"
#include "core/mem.h"

#define CATALOG_ONLY "it changes the catalog only", "Run it plainly: it needs no rewrite."
#define TYPE_PASS 1
#define AT(name) PG_QUERY__ALTER_TABLE_TYPE__AT_##name

/* Clauses that are refused, why, and what to do instead. */
static const struct {
    PgQuery__AlterTableType subtype;
    const char *reason;
    const char *hint;
} refused_clauses[] = {
    {AT(ChangeOwner), CATALOG_ONLY},
    {AT(SetLogged), "only ordinary, logged tables are rewritten", "Run it plainly."},
    {AT(SetUnLogged), "an unlogged table has no change stream to follow", "Run it plainly."},
    {AT(SetAccessMethod), "only heap tables are supported", NULL},
    {AT(EnableTrig), CATALOG_ONLY},
    {AT(EnableAlwaysTrig), CATALOG_ONLY},
    {AT(EnableReplicaTrig), CATALOG_ONLY},
    {AT(DisableTrig), CATALOG_ONLY},
    {AT(EnableTrigAll), CATALOG_ONLY},
    {AT(DisableTrigAll), CATALOG_ONLY},
    {AT(EnableTrigUser), CATALOG_ONLY},
    {AT(DisableTrigUser), CATALOG_ONLY},
    {AT(EnableRule), CATALOG_ONLY},
    {AT(EnableAlwaysRule), CATALOG_ONLY},
    {AT(EnableReplicaRule), CATALOG_ONLY},
    {AT(DisableRule), CATALOG_ONLY},
    {AT(AddInherit), "inheritance is not supported yet", NULL},
    {AT(DropInherit), "inheritance is not supported yet", NULL},
    {AT(AddOf), "typed tables are not supported yet", NULL},
    {AT(DropOf), "typed tables are not supported yet", NULL},
    {AT(EnableRowSecurity), CATALOG_ONLY},
    {AT(DisableRowSecurity), CATALOG_ONLY},
    {AT(ForceRowSecurity), CATALOG_ONLY},
    {AT(NoForceRowSecurity), CATALOG_ONLY},
    {AT(GenericOptions), "foreign tables are not supported", NULL},
    {AT(AlterColumnGenericOptions), "foreign tables are not supported", NULL},
    {AT(AttachPartition), "partitioned tables are not supported yet", NULL},
    {AT(DetachPartition), "partitioned tables are not supported yet", NULL},
    {AT(DetachPartitionFinalize), "partitioned tables are not supported yet", NULL},
};

static bool
adds_foreign_key(const PgQuery__AlterTableCmd *cmd)
{
    if (cmd->def == NULL)
        return false;
    if (cmd->def->node_case == PG_QUERY__NODE__NODE_CONSTRAINT)
        return cmd->def->constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN;
    return cmd->def->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF &&
           tree_has_constraint(cmd->def->column_def->constraints, cmd->def->column_def->n_constraints,
                               PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN);
}

bool
clause_allowed(const PgQuery__AlterTableCmd *cmd, const char *text, struct error *err)
{
    for (size_t i = 0; i < sizeof(refused_clauses) / sizeof(refused_clauses[0]); i++) {
        if (refused_clauses[i].subtype != cmd->subtype)
            continue;
        error_set(err, ERROR_REFUSED, "cannot do \"%s\": %s", text, refused_clauses[i].reason);
        if (refused_clauses[i].hint != NULL)
            error_hint(err, "%s", refused_clauses[i].hint);
        return false;
    }
    return true;
}

struct using_scope {
    struct clause *clause;
    const char *table;
};

/* "column", "table.column", "schema.table.column"; anything else may mean the row as a whole. */
static void
using_column(void *arg, const PgQuery__ColumnRef *ref)
{
    struct using_scope *scope = arg;
    const char *name = tree_string(ref->n_fields > 0 ? ref->fields[ref->n_fields - 1] : NULL);
    const char *qualifier = ref->n_fields > 1 ? tree_string(ref->fields[ref->n_fields - 2]) : NULL;

    if (name == NULL || (ref->n_fields > 1 && (qualifier == NULL || strcmp(qualifier, scope->table) != 0)))
        scope->clause->using_row = true;
    else if (!list_has(&scope->clause->using_columns, name))
        list_add(&scope->clause->using_columns, mem_strdup(name));
}

/* The column itself, with nothing but casts around it. */
static bool
is_cast_of(const PgQuery__Node *expr, const char *column, const char *table)
{
    struct clause found = {0};
    struct using_scope scope = {&found, table};
    bool is;

    while (expr != NULL && expr->node_case == PG_QUERY__NODE__NODE_TYPE_CAST)
        expr = expr->type_cast->arg;
    if (expr == NULL || expr->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || column == NULL)
        return false;
    using_column(&scope, expr->column_ref);
    is = !found.using_row && list_has(&found.using_columns, column);
    list_free(&found.using_columns);
    return is;
}

/* The zone of: column AT TIME ZONE 'zone'; else NULL. The parser makes a call of pg_catalog.timezone() of it. */
static char *
zone_of(const PgQuery__Node *expr, const char *column, const char *table)
{
    const PgQuery__FuncCall *call;
    const PgQuery__Node *zone;

    if (expr->node_case != PG_QUERY__NODE__NODE_FUNC_CALL)
        return NULL;
    call = expr->func_call;
    if (call->n_funcname != 2 || strcmp(tree_string(call->funcname[0]), "pg_catalog") != 0 ||
        strcmp(tree_string(call->funcname[1]), "timezone") != 0 || call->n_args != 2)
        return NULL;
    zone = call->args[0];
    if (zone->node_case != PG_QUERY__NODE__NODE_A_CONST || zone->a_const->isnull ||
        zone->a_const->val_case != PG_QUERY__A__CONST__VAL_SVAL ||
        call->args[1]->node_case != PG_QUERY__NODE__NODE_COLUMN_REF ||
        !is_cast_of(call->args[1], column, table))
        return NULL;
    return mem_strdup(zone->a_const->sval->sval);
}

static void
describe_using(struct clause *clause, const PgQuery__Node *expr, const char *table)
{
    struct using_scope scope = {clause, table};

    clause->has_using = true;
    clause->using_literal =
        expr->node_case == PG_QUERY__NODE__NODE_A_CONST &&
        (expr->a_const->isnull || expr->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL);
    clause->using_cast = is_cast_of(expr, clause->column, table);
    clause->using_zone = zone_of(expr, clause->column, table);
    tree_column_refs(&expr->base, using_column, &scope);
}

/* ALTER COLUMN … RESTART, alone or among other SETs of an identity column. */
static bool
restarts_sequence(const PgQuery__AlterTableCmd *cmd)
{
    if (cmd->subtype != AT(SetIdentity) || cmd->def == NULL ||
        cmd->def->node_case != PG_QUERY__NODE__NODE_LIST)
        return false;
    for (size_t i = 0; i < cmd->def->list->n_items; i++) {
        const PgQuery__Node *item = cmd->def->list->items[i];

        if (item->node_case == PG_QUERY__NODE__NODE_DEF_ELEM &&
            strcmp(item->def_elem->defname, "restart") == 0)
            return true;
    }
    return false;
}

/*
 * The server's own passes (tablecmds.c), as far as they decide whether one clause can be run before another.
 */
static int
pass_of(const PgQuery__AlterTableCmd *cmd)
{
    switch (cmd->subtype) {
    case AT(DropColumn):
    case AT(DropConstraint):
    case AT(DropNotNull):
    case AT(DropExpression):
    case AT(DropIdentity):
        return 0;
    case AT(ColumnDefault):
        return cmd->def == NULL ? 0 : 3;
    case AT(AlterColumnType):
        return TYPE_PASS;
    case AT(AddColumn):
        return 2;
    default:
        return 3;
    }
}

/* The only storage parameter of a table that needs the strongest lock (reloptions.c). */
static bool
sets_strong_option(const PgQuery__AlterTableCmd *cmd)
{
    const PgQuery__List *list =
        cmd->def != NULL && cmd->def->node_case == PG_QUERY__NODE__NODE_LIST ? cmd->def->list : NULL;

    for (size_t i = 0; list != NULL && i < list->n_items; i++) {
        const PgQuery__Node *item = list->items[i];

        if (item->node_case == PG_QUERY__NODE__NODE_DEF_ELEM &&
            strcmp(item->def_elem->defname, "user_catalog_table") == 0)
            return true;
    }
    return false;
}

void
clause_describe(struct clause *clause, const PgQuery__AlterTableCmd *cmd, const char *table)
{
    switch (cmd->subtype) {
    case AT(SetStatistics):
    case AT(SetOptions):
    case AT(ResetOptions):
    case AT(ClusterOn):
    case AT(DropCluster):
        clause->lock = LOCK_SHARE_UPDATE_EXCLUSIVE;
        break;
    case AT(SetRelOptions):
    case AT(ResetRelOptions):
        clause->lock = sets_strong_option(cmd) ? LOCK_ACCESS_EXCLUSIVE : LOCK_SHARE_UPDATE_EXCLUSIVE;
        break;
    case AT(ValidateConstraint):
        clause->lock = LOCK_SHARE_UPDATE_EXCLUSIVE;
        clause->scans = true;
        break;
    case AT(AddConstraint):
        clause->lock = adds_foreign_key(cmd) ? LOCK_SHARE_ROW_EXCLUSIVE : LOCK_ACCESS_EXCLUSIVE;
        clause->scans = adds_foreign_key(cmd) && !cmd->def->constraint->skip_validation;
        break;
    default:
        clause->lock = LOCK_ACCESS_EXCLUSIVE;
        break;
    }
    clause->adds_key = adds_foreign_key(cmd);
    if (cmd->subtype == AT(DropConstraint))
        clause->dropped_constraint = mem_strdup(cmd->name);
    if (cmd->name != NULL && cmd->name[0] != '\0' && cmd->subtype != AT(AddConstraint) &&
        cmd->subtype != AT(DropConstraint) && cmd->subtype != AT(ValidateConstraint) &&
        cmd->subtype != AT(ClusterOn))
        clause->column = mem_strdup(cmd->name);
    clause->pass = pass_of(cmd);
    clause->restarts = restarts_sequence(cmd);
    clause->sets_tablespace = cmd->subtype == AT(SetTableSpace);
    clause->sets_type = cmd->subtype == AT(AlterColumnType);
    clause->drops_column =
        cmd->subtype == AT(DropColumn) && cmd->behavior != PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE;
    if (cmd->subtype == AT(AlterColumnType) && cmd->def != NULL &&
        cmd->def->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF && cmd->def->column_def->raw_default != NULL)
        describe_using(clause, cmd->def->column_def->raw_default, table);
}

void
clause_backfill(struct clause *clause, const PgQuery__ResTarget *target, const char *table)
{
    clause->column = mem_strdup(target->name);
    clause->pass = TYPE_PASS;
    clause->updates = true;
    clause->lock = LOCK_NONE;
    describe_using(clause, target->val, table);
}
