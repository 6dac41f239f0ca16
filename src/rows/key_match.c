#include "rows/key_match.h"

#include <string.h>

/* The template, with the value in place of every $1. */
static void
add_value(struct buffer *sql, const char *template, const char *value)
{
    const char *at = template;
    const char *found;

    while ((found = strstr(at, "$1")) != NULL) {
        buffer_add(sql, at, (size_t)(found - at));
        buffer_add_text(sql, value);
        at = found + strlen("$1");
    }
    buffer_add_text(sql, at);
}

void
key_match_add(struct buffer *sql, const struct plan *p, int number, enum plan_side side, const char *alias,
              const char *value)
{
    const struct plan_key_column *key = &p->key[number];
    const struct column *from = &p->source->columns[key->source], *to = from;
    const char *equals = side == PLAN_SOURCE ? key->source_equals : key->shadow_equals;
    const char *collation = side == PLAN_SOURCE ? key->source_collation : key->shadow_collation;

    if (side == PLAN_SHADOW && !key->hidden)
        to = table_column_named(p->target, key->shadow_name);
    buffer_printf(sql, "%s.", alias);
    buffer_add_identifier(sql, side == PLAN_SOURCE ? key->source_name : key->shadow_name);
    buffer_printf(sql, " %s (", equals != NULL ? equals : "=");
    if (side == PLAN_SHADOW && key->shadow_value != NULL)
        add_value(sql, key->shadow_value, value);
    else
        buffer_printf(sql, "%s::%s", value, to->base_type);
    /* An implicit collation on each side would be a conflict, so one side states it. */
    if (collation != NULL)
        buffer_printf(sql, " COLLATE %s", collation);
    else if (to->base_collation != NULL || from->base_collation != NULL)
        buffer_printf(sql, " COLLATE %s",
                      to->base_collation != NULL ? to->base_collation : "pg_catalog.\"default\"");
    buffer_add_char(sql, ')');
}
