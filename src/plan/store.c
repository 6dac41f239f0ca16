#include "store.h"

#include "catalog/fields.h"
#include "plan/plan.h"

#define PLAN_FORMAT 4 /* raised when a field changes its meaning, but neither its name nor its type */

FIELDS_COMPLETE(string_list, 16); /* see FIELD_LIST_STRUCT */
FIELDS_COMPLETE(planned_list, 16);
FIELDS_COMPLETE(plan_verdict_list, 16);

static const char *const column_origins[] = {
    [COLUMN_FROM_ROW] = "row",
    [COLUMN_CONSTANT] = "constant",
    [COLUMN_GENERATED] = "generated",
    [COLUMN_DEFAULT] = "default",
    NULL,
};

static const char *const lock_modes[] = {
    [LOCK_NONE] = "none",
    [LOCK_ROW_EXCLUSIVE] = "row_exclusive",
    [LOCK_SHARE_UPDATE_EXCLUSIVE] = "share_update_exclusive",
    [LOCK_SHARE] = "share",
    [LOCK_SHARE_ROW_EXCLUSIVE] = "share_row_exclusive",
    [LOCK_ACCESS_EXCLUSIVE] = "access_exclusive",
    NULL,
};

/* How many columns the source has, for a column of the plan. */
static int
source_column_count(const struct holder *in)
{
    const struct plan *p = in->up->up->object; /* column, rows, plan */

    return p->source == NULL ? 0 : p->source->column_count;
}

static const struct field plan_column_fields[] = {
    FIELD(struct plan_column, name),
    FIELD(struct plan_column, type),
    FIELD_ENUM(struct plan_column, origin, column_origins),
    FIELD_LIST_COUNTED(struct plan_column, depends_on, source_column_count, NULL),
    FIELD(struct plan_column, plain),
    FIELD(struct plan_column, kept),
};
static SHAPE(plan_column, 40);

static const struct field plan_key_column_fields[] = {
    FIELD(struct plan_key_column, source),
    FIELD(struct plan_key_column, source_name),
    FIELD(struct plan_key_column, type),
    FIELD(struct plan_key_column, collation),
    FIELD(struct plan_key_column, shadow_name),
    FIELD(struct plan_key_column, hidden),
    FIELD(struct plan_key_column, source_equals),
    FIELD(struct plan_key_column, shadow_equals),
    FIELD(struct plan_key_column, source_collation),
    FIELD(struct plan_key_column, shadow_collation),
    FIELD(struct plan_key_column, shadow_value),
};
static SHAPE(plan_key_column, 88);

static const struct field plan_index_fields[] = {
    FIELD(struct plan_index, name),      FIELD(struct plan_index, final_name), FIELD(struct plan_index, sql),
    FIELD(struct plan_index, bytes),     FIELD(struct plan_index, key),        FIELD(struct plan_index, late),
    FIELD(struct plan_index, exclusive),
};
static SHAPE(plan_index, 40);

static const struct field plan_names_fields[] = {
    FIELD(struct plan_names, source_sql), FIELD(struct plan_names, shadow_name),
    FIELD(struct plan_names, old_name),   FIELD(struct plan_names, shadow_sql),
    FIELD(struct plan_names, old_sql),
};
static SHAPE(plan_names, 40);

static const struct field plan_comparison_fields[] = {
    FIELD(struct plan_comparison, transform),
    FIELD(struct plan_comparison, source),
    FIELD(struct plan_comparison, shadow),
    FIELD(struct plan_comparison, count),
    FIELD_LIST_STRUCT(struct plan_comparison, left_out, NULL),
    FIELD_LIST_STRUCT(struct plan_comparison, stored, NULL),
    FIELD(struct plan_comparison, stored_differ),
    FIELD(struct plan_comparison, encoding),
    FIELD(struct plan_comparison, texts_differ),
};
static SHAPE(plan_comparison, 88);

static const struct field plan_rows_fields[] = {
    FIELD_LIST(struct plan_rows, columns, column_count, &plan_column_shape),
    FIELD(struct plan_rows, insert_columns),
    FIELD(struct plan_rows, transform_insert),
    FIELD_LIST(struct plan_rows, insert_origin, insert_count, NULL),
    FIELD_STRUCT(struct plan_rows, compare, &plan_comparison_shape),
};
static SHAPE(plan_rows, 136);

static const struct field plan_statements_fields[] = {
    FIELD_LIST_STRUCT(struct plan_statements, create, NULL),
    FIELD_LIST_STRUCT(struct plan_statements, finish_shadow, NULL),
    FIELD_LIST_STRUCT(struct plan_statements, swap, NULL),
    FIELD_LIST_STRUCT(struct plan_statements, drop_old, NULL),
};
static SHAPE(plan_statements, 64);

static const char *const verdict_kinds[] = {
    [VERDICT_CATALOG_ONLY] = "catalog_only",
    [VERDICT_SCANS] = "scans",
    [VERDICT_BUILDS_INDEX] = "builds_index",
    [VERDICT_REWRITES] = "rewrites",
    [VERDICT_UPDATES] = "updates",
    [VERDICT_MOVES] = "moves",
    [VERDICT_BY_HAND] = "by_hand",
    [VERDICT_REFUSED] = "refused",
    NULL,
};

static const struct field plan_verdict_fields[] = {
    FIELD(struct plan_verdict, clause),
    FIELD_ENUM(struct plan_verdict, kind, verdict_kinds),
    FIELD_ENUM(struct plan_verdict, lock, lock_modes),
    FIELD(struct plan_verdict, on_index),
    FIELD(struct plan_verdict, concurrent),
    FIELD(struct plan_verdict, users),
};
static SHAPE(plan_verdict, 32);

static const struct field plan_advice_fields[] = {
    FIELD_LIST_STRUCT(struct plan_advice, verdicts, &plan_verdict_shape),
    FIELD_LIST_STRUCT(struct plan_advice, notes, NULL),
    FIELD_LIST_STRUCT(struct plan_advice, warnings, NULL),
};
static SHAPE(plan_advice, 48);

static const struct field plan_code_fields[] = {
    FIELD(struct plan_code, foreign),
    FIELD_LIST_STRUCT(struct plan_code, trusted, NULL),
    FIELD_LIST_STRUCT(struct plan_code, allowed, NULL),
};
static SHAPE(plan_code, 40);

static const struct field plan_fields[] = {
    FIELD_POINTER(struct plan, source, &table_shape),
    FIELD_POINTER(struct plan, target, &table_shape),
    FIELD(struct plan, sql),
    FIELD(struct plan, filter),
    FIELD_LIST_STRUCT(struct plan, filter_columns, NULL),
    FIELD_STRUCT(struct plan, names, &plan_names_shape),
    FIELD_LIST(struct plan, key, key_count, &plan_key_column_shape),
    FIELD_STRUCT(struct plan, rows, &plan_rows_shape),
    FIELD_LIST(struct plan, indexes, index_count, &plan_index_shape),
    FIELD_STRUCT(struct plan, statements, &plan_statements_shape),
    FIELD_STRUCT(struct plan, advice, &plan_advice_shape),
    FIELD_STRUCT(struct plan, code, &plan_code_shape),
};
SHAPE(plan, 408);

static const char *const planned_kinds[] = {
    [PLANNED_LOCK] = "lock",
    [PLANNED_DETACH] = "detach",
    [PLANNED_EXCHANGE] = "exchange",
    [PLANNED_PRIVILEGES] = "privileges",
    [PLANNED_ATTACH] = "attach",
    [PLANNED_PROVE] = "prove",
    [PLANNED_GRANT] = "grant",
    [PLANNED_VALIDATE] = "validate",
    [PLANNED_EACH_PART] = "each_part",
    [PLANNED_TAKE_OVER] = "take_over",
    [PLANNED_COMMENT] = "comment",
    [PLANNED_HISTORY] = "history",
    [PLANNED_HISTORY_BACK] = "history_back",
    NULL,
};

static const struct field planned_fields[] = {
    FIELD_ENUM(struct planned, kind, planned_kinds),
    FIELD_ENUM(struct planned, lock, lock_modes),
    FIELD(struct planned, sql),
    FIELD(struct planned, by_hand),
};
static SHAPE(planned, 24);

static const struct field plan_early_fields[] = {
    FIELD(struct plan_early, description),
    FIELD(struct plan_early, name),
    FIELD(struct plan_early, new_name),
    FIELD(struct plan_early, old_name),
    FIELD(struct plan_early, stores),
    FIELD(struct plan_early, owner),
    FIELD_LIST_STRUCT(struct plan_early, to_new, NULL),
    FIELD_LIST_STRUCT(struct plan_early, to_original, NULL),
};
static SHAPE(plan_early, 80);

static const struct field plan_swap_fields[] = {
    FIELD_LIST_STRUCT(struct plan_swap, first_locks, NULL),
    FIELD_LIST_STRUCT(struct plan_swap, locks, &planned_shape),
    FIELD_LIST_STRUCT(struct plan_swap, locked, NULL),
    FIELD_LIST_STRUCT(struct plan_swap, statements, &planned_shape),
    FIELD_LIST_STRUCT(struct plan_swap, validate, &planned_shape),
    FIELD(struct plan_swap, validated_keys),
};
static SHAPE(plan_swap, 88);

static const struct field plan_table_fields[] = {
    FIELD_POINTER(struct plan_table, forward, &plan_shape),
    FIELD_POINTER(struct plan_table, back, &plan_shape),
    FIELD_POINTER(struct plan_table, again, &plan_shape),
    FIELD_POINTER(struct plan_table, proof, &plan_shape),
    FIELD(struct plan_table, why_not_again),
};
static SHAPE(plan_table, 40);

static const struct field plan_set_fields[] = {
    FIELD(struct plan_set, first),
    FIELD_LIST(struct plan_set, tables, table_count, &plan_table_shape),
    FIELD_LIST(struct plan_set, early, early_count, &plan_early_shape),
    FIELD_LIST_STRUCT(struct plan_set, early_create, NULL),
    FIELD_POINTER(struct plan_set, cutover, &plan_swap_shape),
    FIELD_POINTER(struct plan_set, rollback, &plan_swap_shape),
    FIELD_POINTER(struct plan_set, cutover_again, &plan_swap_shape),
    FIELD_LIST_STRUCT(struct plan_set, reverse_maps, NULL),
    FIELD_LIST_STRUCT(struct plan_set, written, NULL),
    FIELD(struct plan_set, search_path),
    FIELD(struct plan_set, recompute_generated),
    FIELD_LIST_STRUCT(struct plan_set, trusted, NULL),
    FIELD(struct plan_set, trusted_by),
};
SHAPE(plan_set, 144);

/* The name of a plan in a set, for messages. */
struct plan_name {
    int table;
    const char *direction;
};

static bool
position_refuse(struct error *err, struct plan_name at, const char *list, int number, const char *member)
{
    return error_set(err, ERROR_FAILED, "plan.tables[%d].%s.%s[%d]%s is a position that does not exist",
                     at.table, at.direction, list, number, member);
}

/*
 * The lists of a plan refer to each other by position. They are checked here, because the code that uses them
 * does not check again.
 */
static bool
plan_check(const struct plan *p, int table, const char *direction, struct error *err)
{
    struct plan_name at = {table, direction};

    if (p == NULL)
        return true;
    if (p->source == NULL)
        return error_set(err, ERROR_FAILED, "plan.tables[%d].%s.source is missing", table, direction);
    if (p->target != NULL && p->rows.column_count > p->target->column_count)
        return error_set(err, ERROR_FAILED,
                         "plan.tables[%d].%s.rows.columns has more columns than the target", table,
                         direction);
    for (int i = 0; i < p->key_count; i++)
        if (p->key[i].source < 0 || p->key[i].source >= p->source->column_count)
            return position_refuse(err, at, "key", i, ".source");
    for (int i = 0; i < p->rows.insert_count; i++)
        if (p->rows.insert_origin[i] >= p->rows.column_count || p->rows.insert_origin[i] < -p->key_count)
            return position_refuse(err, at, "rows.insert_origin", i, "");
    return true;
}

static bool
plan_table_check(const struct plan_set *set, int number, struct error *err)
{
    const struct plan_table *t = &set->tables[number];

    if (t->forward == NULL || t->forward->target == NULL)
        return error_set(err, ERROR_FAILED, "plan.tables[%d].forward%s is missing", number,
                         t->forward == NULL ? "" : ".target");
    if ((t->back != NULL) != (set->rollback != NULL) || (t->again != NULL) != (set->cutover_again != NULL) ||
        (t->back != NULL) != (t->proof != NULL))
        return error_set(err, ERROR_FAILED, "plan.tables[%d] has not a plan for each direction", number);
    return plan_check(t->forward, number, "forward", err) && plan_check(t->back, number, "back", err) &&
           plan_check(t->again, number, "again", err) && plan_check(t->proof, number, "proof", err);
}

static bool
plan_set_check(const struct plan_set *set, struct error *err)
{
    if (set->first < 0 || set->first >= set->table_count)
        return error_set(err, ERROR_FAILED, "plan.first is a position that does not exist");
    if (set->cutover == NULL)
        return error_set(err, ERROR_FAILED, "plan.cutover is missing");
    for (int i = 0; i < set->table_count; i++)
        if (!plan_table_check(set, i, err))
            return false;
    return true;
}

void
plan_free(struct plan *p)
{
    fields_free(&plan_shape, p);
}

void
plan_set_free(struct plan_set *set)
{
    fields_free(&plan_set_shape, set);
}

char *
plan_set_write(const struct plan_set *set)
{
    return fields_write(&plan_set_shape, PLAN_FORMAT, set);
}

struct plan_set *
plan_set_read(const char *json, struct error *err)
{
    struct plan_set *set = fields_read(&plan_set_shape, PLAN_FORMAT, json, "plan", err);

    if (set != NULL && !plan_set_check(set, err)) {
        fields_free(&plan_set_shape, set);
        set = NULL;
    }
    if (set == NULL) {
        error_context(err, "the stored plan is not one that this version of the program reads");
        error_hint(err, "Use the version of the program that started the job.");
    }
    return set;
}
