#include "statements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "rows/key_match.h"

void
temp_tables_name(struct temp_tables *temp, int number)
{
    snprintf(temp->stage, sizeof(temp->stage), "pg_temp.pgrecast_stage_%d", number);
    snprintf(temp->saved, sizeof(temp->saved), "pg_temp.pgrecast_saved_%d", number);
    snprintf(temp->keys, sizeof(temp->keys), "pg_temp.pgrecast_keys_%d", number);
    snprintf(temp->overlay, sizeof(temp->overlay), "pg_temp.pgrecast_overlay_%d", number);
}

void
stream_columns_init(struct stream_columns *c, const struct plan *plan)
{
    c->count = 0;
    c->source = mem_array(NULL, (size_t)plan->source->column_count + 1, sizeof(*c->source));
    c->key_positions = mem_array(NULL, (size_t)plan->key_count, sizeof(*c->key_positions));
    c->only_in_source = mem_alloc((size_t)plan->source->column_count + 1);
    for (int i = 0; i < plan->source->column_count; i++) {
        if (plan->source->columns[i].generated != '\0')
            continue;
        for (int k = 0; k < plan->key_count; k++) {
            if (plan->key[k].source == i)
                c->key_positions[k] = c->count;
        }
        c->only_in_source[c->count] = plan->source->columns[i].unvalidated;
        c->source[c->count++] = i;
    }
}

void
stream_columns_free(struct stream_columns *c)
{
    free(c->source);
    free(c->key_positions);
    free(c->only_in_source);
    for (int i = 0; c->names != NULL && i < c->count; i++)
        free(c->names[i]);
    free(c->names);
    memset(c, 0, sizeof(*c));
}

/* alias."name" */
static void
statements_add_column(struct buffer *sql, const char *alias, const char *name)
{
    buffer_printf(sql, "%s.", alias);
    buffer_add_identifier(sql, name);
}

/* The shadow's column that item i of the insert list sets. */
static const char *
insert_name(const struct plan *plan, int item)
{
    int origin = plan->rows.insert_origin[item];

    return origin >= 0 ? plan->rows.columns[origin].name : plan->key[-1 - origin].shadow_name;
}

static bool
is_kept(const struct plan *plan, int item)
{
    return plan->rows.insert_origin[item] >= 0 && plan->rows.columns[plan->rows.insert_origin[item]].kept;
}

static void
add_row_column(struct buffer *sql, bool *first, const char *alias, const char *name)
{
    buffer_add_text(sql, *first ? "" : ", ");
    *first = false;
    if (alias != NULL)
        statements_add_column(sql, alias, name);
    else
        buffer_add_identifier(sql, name);
}

/* Add all columns that make up a row of the shadow: its columns except generated ones, and the hidden key. */
static void
add_row_columns(struct buffer *sql, const struct plan *plan, const char *alias)
{
    bool first = true;

    for (int i = 0; i < plan->rows.column_count; i++) {
        if (plan->rows.columns[i].origin != COLUMN_GENERATED)
            add_row_column(sql, &first, alias, plan->rows.columns[i].name);
    }
    for (int i = 0; i < plan->key_count; i++) {
        if (plan->key[i].hidden)
            add_row_column(sql, &first, alias, plan->key[i].shadow_name);
    }
}

/*
 * The server checks the constraint of a domain whenever a value of its base type is cast to the domain. A
 * value may be older than the constraint, so it must keep the domain as its type throughout the statement.
 */
static void
add_type(struct buffer *sql, const struct column *column)
{
    buffer_add_text(sql, column->unvalidated ? column->type : column->base_type);
    if (column->base_collation != NULL)
        buffer_printf(sql, " COLLATE %s", column->base_collation);
}

/*
 * Changes do not have generated columns of the source; the stage computes such a column where an expression
 * reads it.
 */
static bool
is_read(const struct plan *plan, int source)
{
    for (int i = 0; i < plan->rows.column_count; i++) {
        if (plan->rows.columns[i].depends_on != NULL && plan->rows.columns[i].depends_on[source])
            return true;
    }
    return false;
}

char *
statement_create(const struct temp_tables *temp, const struct plan *plan)
{
    struct buffer sql = {0};

    buffer_printf(&sql,
                  "CREATE TEMPORARY TABLE %s (pgrecast_op pg_catalog.\"char\", "
                  "pgrecast_seq pg_catalog.int4, pgrecast_ref pg_catalog.int4, pgrecast_mask "
                  "pg_catalog.int4, pgrecast_group pg_catalog.int4",
                  temp->stage);
    for (int i = 0; i < plan->source->column_count; i++) {
        const struct column *column = &plan->source->columns[i];

        if (column->generated != '\0' && !is_read(plan, i))
            continue;
        buffer_add_text(&sql, ", ");
        buffer_add_identifier(&sql, column->name);
        buffer_add_char(&sql, ' ');
        add_type(&sql, column);
        if (column->generated != '\0')
            buffer_printf(&sql, " GENERATED ALWAYS AS (%s) STORED", column->default_expr);
    }
    buffer_printf(&sql,
                  ");\n"
                  "CREATE TEMPORARY TABLE %s AS SELECT 0 AS pgrecast_seq, ",
                  temp->saved);
    add_row_columns(&sql, plan, "s");
    buffer_printf(&sql,
                  " FROM %s AS s WITH NO DATA;\n"
                  "CREATE INDEX ON %s (pgrecast_seq);\n"
                  "CREATE TEMPORARY TABLE %s (",
                  plan->names.shadow_sql, temp->saved, temp->keys);
    for (int i = 0; i < plan->key_count; i++) {
        buffer_printf(&sql, "%sk%d ", i > 0 ? ", " : "", i + 1);
        add_type(&sql, &plan->source->columns[plan->key[i].source]);
    }
    buffer_add_text(&sql, ")");
    return buffer_take(&sql);
}

void
statement_add_copy_options(struct buffer *sql, const char *encoding)
{
    if (encoding != NULL)
        buffer_printf(sql, " WITH (ENCODING '%s')", encoding);
}

char *
statement_copy_stage(const struct temp_tables *temp, const struct plan *plan, const struct stream_columns *c,
                     const char *encoding)
{
    struct buffer sql = {0};

    buffer_printf(&sql, "COPY %s (pgrecast_op, pgrecast_seq, pgrecast_ref, pgrecast_mask, pgrecast_group",
                  temp->stage);
    for (int i = 0; i < c->count; i++) {
        if (c->only_in_source[i])
            continue;
        buffer_add_text(&sql, ", ");
        buffer_add_identifier(&sql, plan->source->columns[c->source[i]].name);
    }
    buffer_add_text(&sql, ") FROM STDIN");
    statement_add_copy_options(&sql, encoding);
    return buffer_take(&sql);
}

/* Add the condition that finds the row of the source or the shadow with the key of a stage's row. */
static void
statements_add_match(struct buffer *sql, const struct plan *plan, enum plan_side side, const char *alias,
                     const char *stage)
{
    for (int i = 0; i < plan->key_count; i++) {
        struct buffer value = {0};

        statements_add_column(&value, stage, plan->key[i].source_name);
        buffer_add_text(sql, i > 0 ? " AND " : "");
        key_match_add(sql, plan, i, side, alias, value.data);
        buffer_free(&value);
    }
}

static void
add_groups(struct buffer *sql, const char *stage, const char *groups)
{
    if (groups != NULL)
        buffer_printf(sql, " AND %s.pgrecast_group = ANY ('%s'::pg_catalog.int4[])", stage, groups);
}

char *
statement_delete(const struct temp_tables *temp, const struct plan *plan, const char *target,
                 const char *groups)
{
    struct buffer sql = {0};

    buffer_printf(&sql, "DELETE FROM %s AS s USING %s AS t WHERE ", target, temp->stage);
    statements_add_match(&sql, plan, PLAN_SHADOW, "s", "t");
    add_groups(&sql, "t", groups);
    return buffer_take(&sql);
}

/*
 * The stage's rows, as they are joined with the shadow. Two entries whose keys have different texts but are
 * equal for the server meet the same row. That row belongs to the entry touched first, because the others
 * have taken the key since. (Found by sorting: an anti-join could become a nested loop, as the server has no
 * statistics of the stage.)
 */
static void
add_first_of_equals(struct buffer *sql, const struct temp_tables *temp, const struct plan *plan,
                    const char *groups)
{
    if (plan_keys_differ_by_text(plan)) {
        buffer_printf(sql, "%s AS t", temp->stage);
        return;
    }
    buffer_add_text(sql, "(SELECT f.*, pg_catalog.row_number() OVER (PARTITION BY ");
    for (int i = 0; i < plan->key_count; i++) {
        buffer_add_text(sql, i > 0 ? ", " : "");
        statements_add_column(sql, "f", plan->key[i].source_name);
        if (plan->key[i].source_collation != NULL)
            buffer_printf(sql, " COLLATE %s", plan->key[i].source_collation);
    }
    buffer_printf(sql, " ORDER BY f.pgrecast_seq) AS pgrecast_turn FROM %s AS f WHERE true", temp->stage);
    add_groups(sql, "f", groups);
    buffer_add_text(sql, ") AS t");
}

char *
statement_delete_saving(const struct temp_tables *temp, const struct plan *plan, const char *target,
                        const char *groups)
{
    struct buffer sql = {0};

    buffer_printf(&sql, "WITH gone AS (DELETE FROM %s AS s USING ", target);
    add_first_of_equals(&sql, temp, plan, groups);
    buffer_add_text(&sql, " WHERE ");
    statements_add_match(&sql, plan, PLAN_SHADOW, "s", "t");
    add_groups(&sql, "t", groups);
    if (!plan_keys_differ_by_text(plan))
        buffer_add_text(&sql, " AND t.pgrecast_turn = 1");
    buffer_add_text(&sql, " RETURNING t.pgrecast_seq, ");
    add_row_columns(&sql, plan, "s");
    buffer_printf(&sql, ") INSERT INTO %s SELECT * FROM gone", temp->saved);
    return buffer_take(&sql);
}

/*
 * A row whose base is not in the shadow is written as a new row, even where the shadow has a row under its
 * own key. That row may be another one (a deleted row, or one set aside), whose values it must not take. It
 * would be the same row only if the change had been applied before, and such changes are not applied again
 * (see beyond.h).
 */
static void
add_not_saved(struct buffer *sql, const struct temp_tables *temp, const char *stage)
{
    buffer_printf(sql, " AND NOT EXISTS (SELECT FROM %s AS o WHERE o.pgrecast_seq = %s.pgrecast_ref)",
                  temp->saved, stage);
}

char *
statement_insert(const struct temp_tables *temp, const struct plan *plan, const char *target, bool saved,
                 const char *groups)
{
    struct buffer sql = {0};

    buffer_printf(&sql,
                  "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT pgrecast_new.* FROM %s"
                  " AS pgrecast_src CROSS JOIN LATERAL (%s) AS pgrecast_new "
                  "WHERE pgrecast_src.pgrecast_op = 'r' AND pgrecast_src.pgrecast_mask = 0",
                  target, plan->rows.insert_columns, temp->stage, plan->rows.transform_insert);
    if (saved)
        add_not_saved(&sql, temp, "pgrecast_src");
    add_groups(&sql, "pgrecast_src", groups);
    return buffer_take(&sql);
}

/* Adds ", column" for each column whose value is made once per row. */
static void
statements_add_defaults(struct buffer *sql, const struct plan *plan, const char *alias)
{
    bool first = false;

    for (int i = 0; i < plan->rows.column_count; i++) {
        if (plan->rows.columns[i].origin == COLUMN_DEFAULT)
            add_row_column(sql, &first, alias, plan->rows.columns[i].name);
    }
}

char *
statement_insert_keeping(const struct temp_tables *temp, const struct plan *plan, const char *target,
                         int mask, const bool *keep, const char *groups)
{
    struct buffer sql = {0};

    buffer_printf(&sql, "INSERT INTO %s (%s", target, plan->rows.insert_columns);
    statements_add_defaults(&sql, plan, NULL);
    buffer_add_text(&sql, ") OVERRIDING SYSTEM VALUE SELECT ");
    for (int i = 0; i < plan->rows.insert_count; i++) {
        buffer_add_text(&sql, i > 0 ? ", " : "");
        if (is_kept(plan, i) || (keep != NULL && keep[i]))
            statements_add_column(&sql, "o", insert_name(plan, i));
        else
            buffer_printf(&sql, "pgrecast_new.i%d", i + 1);
    }
    statements_add_defaults(&sql, plan, "o");
    buffer_printf(&sql,
                  " FROM %s AS pgrecast_src JOIN %s AS o ON o.pgrecast_seq = pgrecast_src.pgrecast_ref "
                  "CROSS JOIN LATERAL (%s) AS pgrecast_new (",
                  temp->stage, temp->saved, plan->rows.transform_insert);
    for (int i = 0; i < plan->rows.insert_count; i++)
        buffer_printf(&sql, "%si%d", i > 0 ? ", " : "", i + 1);
    buffer_printf(&sql, ") WHERE pgrecast_src.pgrecast_op = 'r' AND pgrecast_src.pgrecast_mask = %d", mask);
    add_groups(&sql, "pgrecast_src", groups);
    return buffer_take(&sql);
}

char *
statement_fill(const struct temp_tables *temp, const struct plan *plan, const struct stream_columns *c,
               int mask, const bool *unchanged, bool all, const char *groups)
{
    struct buffer sql = {0};

    buffer_printf(&sql, "UPDATE %s AS t SET pgrecast_mask = 0", temp->stage);
    for (int i = 0; i < c->count; i++) {
        const char *name = plan->source->columns[c->source[i]].name;

        if (!unchanged[i])
            continue;
        buffer_add_text(&sql, ", ");
        buffer_add_identifier(&sql, name);
        buffer_add_text(&sql, " = ");
        statements_add_column(&sql, "s", name);
    }
    buffer_printf(&sql, " FROM %s%s AS s WHERE ", table_only(plan->source), plan->names.source_sql);
    statements_add_match(&sql, plan, PLAN_SOURCE, "s", "t");
    buffer_printf(&sql, " AND t.pgrecast_op = 'r' AND t.pgrecast_mask = %d", mask);
    if (!all)
        add_not_saved(&sql, temp, "t");
    add_groups(&sql, "t", groups);
    buffer_add_text(&sql, " RETURNING t.pgrecast_seq");
    return buffer_take(&sql);
}

char *
statement_forget(const struct temp_tables *temp, int mask, bool all, const char *groups)
{
    struct buffer sql = {0};

    buffer_printf(&sql,
                  "UPDATE %s AS t SET pgrecast_op = 'd' WHERE t.pgrecast_op = 'r' AND t.pgrecast_mask = %d",
                  temp->stage, mask);
    if (!all)
        add_not_saved(&sql, temp, "t");
    add_groups(&sql, "t", groups);
    return buffer_take(&sql);
}

char *
statement_leave(const struct temp_tables *temp, int mask, const char *but)
{
    return mem_printf("DELETE FROM %s WHERE pgrecast_op = 'r' AND pgrecast_mask = %d AND "
                      "pgrecast_seq <> ALL ('%s'::pg_catalog.int4[]) RETURNING pgrecast_seq",
                      temp->stage, mask, but);
}

char *
statement_find_missing(const struct temp_tables *temp, const struct plan *plan, int mask, const char *groups)
{
    struct buffer sql = {0};

    buffer_add_text(&sql, "SELECT pg_catalog.encode(pg_catalog.convert_to('(' || pg_catalog.concat_ws(', '");
    for (int i = 0; i < plan->key_count; i++) {
        buffer_add_text(&sql, ", ");
        statements_add_column(&sql, "t", plan->key[i].source_name);
    }
    buffer_printf(&sql,
                  ") || ')', pg_catalog.getdatabaseencoding()), 'hex') AS key FROM %s AS t WHERE "
                  "t.pgrecast_op = 'r' AND t.pgrecast_mask = %d",
                  temp->stage, mask);
    add_not_saved(&sql, temp, "t");
    add_groups(&sql, "t", groups);
    buffer_add_text(&sql, " LIMIT 1");
    return buffer_take(&sql);
}

/*
 * The table does not live as long as the session: its default names a sequence of the shadow, so it would
 * prevent dropping the shadow.
 */
char *
statement_overlay_create(const struct temp_tables *temp, const struct plan *plan)
{
    struct buffer sql = {0};

    buffer_printf(&sql, "CREATE TEMPORARY TABLE %s (LIKE %s INCLUDING DEFAULTS) ON COMMIT DROP;\n",
                  temp->overlay, plan->names.shadow_sql);
    for (int i = 0; i < plan->rows.column_count; i++) {
        if (plan->rows.columns[i].origin != COLUMN_GENERATED)
            continue;
        buffer_printf(&sql, "ALTER TABLE %s DROP COLUMN ", temp->overlay);
        buffer_add_identifier(&sql, plan->rows.columns[i].name);
        buffer_add_text(&sql, ";\n");
    }
    buffer_printf(&sql, "CREATE UNIQUE INDEX ON %s (", temp->overlay);
    for (int i = 0; i < plan->key_count; i++) {
        buffer_add_text(&sql, i > 0 ? ", " : "");
        buffer_add_identifier(&sql, plan->key[i].shadow_name);
    }
    buffer_add_char(&sql, ')');
    return buffer_take(&sql);
}

char *
statement_overlay_sequence(const struct temp_tables *temp, const char *column, const char *sequence)
{
    struct buffer sql = {0};

    buffer_printf(&sql, "ALTER TABLE %s ALTER COLUMN ", temp->overlay);
    buffer_add_identifier(&sql, column);
    buffer_add_text(&sql, " SET DEFAULT pg_catalog.nextval(");
    buffer_add_literal(&sql, sequence);
    buffer_add_text(&sql, "::pg_catalog.regclass)");
    return buffer_take(&sql);
}

char *
statement_overlay_take(const struct temp_tables *temp, const struct plan *plan)
{
    struct buffer sql = {0};

    buffer_printf(&sql, "WITH taken AS (DELETE FROM %s AS s USING %s AS t WHERE ", plan->names.shadow_sql,
                  temp->stage);
    statements_add_match(&sql, plan, PLAN_SHADOW, "s", "t");
    buffer_add_text(&sql, " RETURNING ");
    add_row_columns(&sql, plan, "s");
    buffer_printf(&sql, ") INSERT INTO %s (", temp->overlay);
    add_row_columns(&sql, plan, NULL);
    buffer_add_text(&sql, ") SELECT * FROM taken");
    return buffer_take(&sql);
}

char *
statement_overlay_merge(const struct temp_tables *temp, const struct plan *plan)
{
    struct buffer sql = {0};

    buffer_printf(&sql, "INSERT INTO %s (", plan->names.shadow_sql);
    add_row_columns(&sql, plan, NULL);
    buffer_add_text(&sql, ") OVERRIDING SYSTEM VALUE SELECT ");
    add_row_columns(&sql, plan, NULL);
    buffer_printf(&sql, " FROM %s;\nDROP TABLE %s", temp->overlay, temp->overlay);
    return buffer_take(&sql);
}

/* A database's own collation is deterministic. NULL: no collation is named. */
static bool
is_database_collation(const char *name)
{
    return name == NULL || strcmp(name, "pg_catalog.\"default\"") == 0;
}

bool
plan_keys_differ_by_text(const struct plan *plan)
{
    static const char *const types[] = {"smallint",
                                        "integer",
                                        "bigint",
                                        "oid",
                                        "uuid",
                                        "boolean",
                                        "bytea",
                                        "date",
                                        "timestamp without time zone",
                                        "timestamp with time zone"};

    for (int i = 0; i < plan->key_count; i++) {
        const struct plan_key_column *key = &plan->key[i];
        const struct column *column = &plan->source->columns[key->source];
        bool found = column->base_collation == NULL && is_database_collation(key->source_collation) &&
                     is_database_collation(key->shadow_collation) &&
                     (strcmp(column->base_type, "text") == 0 ||
                      strncmp(column->base_type, "character varying", 17) == 0);

        for (size_t k = 0; k < sizeof(types) / sizeof(types[0]); k++)
            found = found || strcmp(column->base_type, types[k]) == 0;
        if (!found)
            return false;
    }
    return true;
}

bool
plan_has_other_unique(const struct plan *plan)
{
    /* A temporary key index has no final name, so it is not among the target's indexes. */
    int others =
        plan->index_count > 0 && plan->indexes[0].key && plan->indexes[0].final_name != NULL ? -1 : 0;

    for (int i = 0; i < plan->target->index_count; i++)
        others += plan->target->indexes[i].unique;
    if (others > 0)
        return true;
    for (int i = 0; i < plan->target->constraint_count; i++) {
        if (plan->target->constraints[i].type == 'x')
            return true;
    }
    return false;
}
