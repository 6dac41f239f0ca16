#include "select.h"

#include <stdio.h>

#include "core/buffer.h"

const char *
select_table(const struct plan *plan, enum verify_side side)
{
    return side == SIDE_SOURCE ? plan->source_sql : plan->shadow_sql;
}

static const char *
row_alias(enum verify_side side)
{
    return side == SIDE_SOURCE ? "pgrecast_src" : "pgrecast_row";
}

/* SELECT list FROM table: the part that is the same for all readings. */
static void
add_rows(struct buffer *sql, const struct plan *plan, enum verify_side side)
{
    buffer_printf(sql, "SELECT %s FROM ONLY %s AS %s",
                  side == SIDE_SOURCE ? plan->compare_source : plan->compare_shadow, select_table(plan, side),
                  row_alias(side));
    if (side == SIDE_SOURCE)
        buffer_printf(sql, " CROSS JOIN LATERAL (%s) AS pgrecast_new", plan->transform_compare);
}

/*
 * The key's texts are made of the canonical values, not of the columns: so they are alike on both sides even
 * where a key column changes its type.
 */
static void
add_open(struct buffer *sql, const struct plan *plan, bool with_keys)
{
    buffer_add_text(sql, "COPY (");
    if (!with_keys)
        return;
    buffer_add_text(sql, "SELECT pgrecast_q.*");
    for (int i = 1; i <= plan->key_count; i++)
        buffer_printf(sql, ", pg_catalog.format('%%s', pgrecast_q.c%d)", i);
    buffer_add_text(sql, " FROM (");
}

static void
add_close(struct buffer *sql, const struct plan *plan, bool with_keys)
{
    if (with_keys) {
        buffer_add_text(sql, ") AS pgrecast_q (");
        for (int i = 1; i <= plan->compare_count; i++)
            buffer_printf(sql, "%sc%d", i > 1 ? ", " : "", i);
        buffer_add_char(sql, ')');
    }
    buffer_add_text(sql, ") TO STDOUT (FORMAT binary)");
}

char *
select_blocks(const struct plan *plan, enum verify_side side, int64_t first, int64_t end, bool with_keys)
{
    struct buffer sql = {0};

    add_open(&sql, plan, with_keys);
    add_rows(&sql, plan, side);
    buffer_printf(&sql, " WHERE %s.ctid >= '(%lld,0)'::pg_catalog.tid", row_alias(side), (long long)first);
    if (end >= 0)
        buffer_printf(&sql, " AND %s.ctid < '(%lld,0)'::pg_catalog.tid", row_alias(side), (long long)end);
    add_close(&sql, plan, with_keys);
    return buffer_take(&sql);
}

static void
add_match(struct buffer *sql, const struct plan *plan, enum verify_side side, int number)
{
    char value[32];

    snprintf(value, sizeof(value), "pgrecast_key.k%d", number + 1);
    plan_add_key_match(sql, plan, number, side == SIDE_SOURCE ? PLAN_SOURCE : PLAN_SHADOW, row_alias(side), value);
}

/*
 * The keys stand after the LATERAL, which so cannot take one of their columns for one of the table's.
 */
char *
select_keys(const struct plan *plan, enum verify_side side, const char *keys_table_sql, bool with_keys)
{
    struct buffer sql = {0};

    add_open(&sql, plan, with_keys);
    add_rows(&sql, plan, side);
    buffer_printf(&sql, " CROSS JOIN %s AS pgrecast_key", keys_table_sql);
    for (int i = 0; i < plan->key_count; i++) {
        buffer_add_text(&sql, i == 0 ? " WHERE " : " AND ");
        add_match(&sql, plan, side, i);
    }
    add_close(&sql, plan, with_keys);
    return buffer_take(&sql);
}
