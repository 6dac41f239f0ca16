#include "select.h"

#include <stdio.h>

#include "core/buffer.h"
#include "pg/settings.h"
#include "rows/key_match.h"

const char *
select_table(const struct plan *plan, enum verify_side side)
{
    return side == SIDE_SOURCE ? plan->names.source_sql : plan->names.shadow_sql;
}

const char *
select_only(const struct plan *plan, enum verify_side side)
{
    return table_only(side == SIDE_SOURCE ? plan->source : plan->target);
}

static const char *
row_alias(enum verify_side side)
{
    return side == SIDE_SOURCE ? "pgrecast_src" : "pgrecast_row";
}

/*
 * COPY (SELECT list FROM table: the part that is the same for all readings. The key's texts are those of the
 * key columns themselves, by the type's output function: as they are in the change stream, whatever form the
 * canonical values have.
 */
static void
add_rows(struct buffer *sql, const struct plan *plan, enum verify_side side, bool with_keys)
{
    buffer_printf(sql, "COPY (SELECT %s",
                  side == SIDE_SOURCE ? plan->rows.compare.source : plan->rows.compare.shadow);
    for (int i = 0; with_keys && i < plan->key_count; i++) {
        buffer_printf(sql, ", %s%s%s.", plan->rows.compare.encoding != NULL ? "pg_catalog.convert_to(" : "",
                      plan->rows.compare.texts_differ ? SESSION_TEXT_FUNCTION "("
                                                      : "pg_catalog.format('%s', ",
                      row_alias(side));
        buffer_add_identifier(sql, side == SIDE_SOURCE ? plan->key[i].source_name : plan->key[i].shadow_name);
        buffer_add_char(sql, ')');
        if (plan->rows.compare.encoding != NULL)
            buffer_printf(sql, ", '%s')", plan->rows.compare.encoding);
    }
    buffer_printf(sql, " FROM %s%s AS %s", select_only(plan, side), select_table(plan, side),
                  row_alias(side));
    if (side == SIDE_SOURCE)
        buffer_printf(sql, " CROSS JOIN LATERAL (%s) AS pgrecast_new", plan->rows.compare.transform);
}

static void
add_close(struct buffer *sql)
{
    buffer_add_text(sql, ") TO STDOUT (FORMAT binary)");
}

char *
select_blocks(const struct plan *plan, enum verify_side side, int64_t first, int64_t end, bool with_keys)
{
    struct buffer sql = {0};

    add_rows(&sql, plan, side, with_keys);
    buffer_printf(&sql, " WHERE %s.ctid >= '(%lld,0)'::pg_catalog.tid", row_alias(side), (long long)first);
    if (end >= 0)
        buffer_printf(&sql, " AND %s.ctid < '(%lld,0)'::pg_catalog.tid", row_alias(side), (long long)end);
    add_close(&sql);
    return buffer_take(&sql);
}

static void
select_add_match(struct buffer *sql, const struct plan *plan, enum verify_side side, int number)
{
    char value[32];

    snprintf(value, sizeof(value), "pgrecast_key.k%d", number + 1);
    key_match_add(sql, plan, number, side == SIDE_SOURCE ? PLAN_SOURCE : PLAN_SHADOW, row_alias(side), value);
}

/*
 * The keys are joined after the LATERAL, so that it cannot take one of their columns for a column of the
 * table.
 */
char *
select_keys(const struct plan *plan, enum verify_side side, const char *keys_table_sql, bool with_keys)
{
    struct buffer sql = {0};

    add_rows(&sql, plan, side, with_keys);
    buffer_printf(&sql, " CROSS JOIN %s AS pgrecast_key", keys_table_sql);
    for (int i = 0; i < plan->key_count; i++) {
        buffer_add_text(&sql, i == 0 ? " WHERE " : " AND ");
        select_add_match(&sql, plan, side, i);
    }
    add_close(&sql);
    return buffer_take(&sql);
}
