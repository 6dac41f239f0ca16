#include "rows/filter.h"

void
filter_add_item(struct buffer *sql, const struct plan *p)
{
    buffer_printf(sql, "(SELECT FROM (%s FROM (SELECT ", p->filter);
    for (int i = 0; i < p->filter_columns.count; i++) {
        buffer_add_text(sql, i > 0 ? ", pgrecast_src." : "pgrecast_src.");
        buffer_add_identifier(sql, p->filter_columns.items[i]);
    }
    buffer_add_text(sql, ") AS ");
    buffer_add_identifier(sql, p->source->name);
    buffer_add_text(sql, ") AS pgrecast_where WHERE pgrecast_where.c1) AS pgrecast_kept");
}
